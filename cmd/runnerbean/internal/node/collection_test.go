package node

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 4 << 20: 400, 8 << 20: 200, 16 << 20: 100, 17 << 20: 100, 1 << 40: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("live heap of %d bytes: GOGC %d, not %d", live, got, want)
		}
	}
}

// TestCollectionIsTuned has a heap that grows and shrinks.
func TestCollectionIsTuned(t *testing.T) {
	watchCollections()
	large := make([]byte, 64<<20)
	collectUntil(func(percent uint64) bool { return percent == goPercent })
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		t.Errorf("a large heap has a limit of %d bytes", limit)
	}
	runtime.KeepAlive(large)
	large = nil
	collectUntil(func(percent uint64) bool { return percent > goPercent })
	if limit := debug.SetMemoryLimit(-1); limit != smallMemory {
		t.Errorf("a small heap has a limit of %d bytes", limit)
	}
}

// collectUntil collects garbage until GOGC is as wanted.
func collectUntil(wanted func(percent uint64) bool) {
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for metrics.Read(percent); !wanted(percent[0].Value.Uint64()); metrics.Read(percent) {
		runtime.GC()
	}
}
