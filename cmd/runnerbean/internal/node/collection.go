package node

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// cheapGarbage is how much garbage may pile up in a small heap, in bytes. The live heap
	// of most nodes is so small that Go would collect it many times a second.
	cheapGarbage = 16 << 20
	// goPercent is the default of GOGC, and mostPercent the most that is set.
	goPercent, mostPercent = 100, 400
	// smallMemory is what Go may take in all while GOGC is raised, in bytes. Without it a heap
	// that grows at once, by large outputs of programs, is collected at five times its size.
	smallMemory = 64 << 20
)

// tuneCollection makes garbage collections of a small heap less frequent, unless the operator
// has set GOGC or GOMEMLIMIT. A heap of 16 MiB and more is collected as ever.
var tuneCollection = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		watchCollections()
	}
})

// watchCollections sets GOGC after each collection from now on.
func watchCollections() {
	afterCollection(&collection{percent: goPercent, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}})
}

// collection is garbage after each collection, so that its finalizer runs.
type collection struct {
	percent int // in force
	live    []metrics.Sample
}

// afterCollection sets GOGC by the live heap, and has itself called after the next collection.
func afterCollection(c *collection) {
	runtime.SetFinalizer(c, afterCollection)
	metrics.Read(c.live)
	if percent := percentFor(c.live[0].Value.Uint64()); percent != c.percent {
		c.percent = percent
		debug.SetMemoryLimit(limitFor(percent))
		debug.SetGCPercent(percent)
	}
}

// limitFor returns GOMEMLIMIT for a GOGC.
func limitFor(percent int) int64 {
	if percent > goPercent {
		return smallMemory
	}
	return math.MaxInt64
}

// percentFor returns GOGC for a live heap in bytes.
func percentFor(live uint64) int {
	return int(min(max(cheapGarbage*100/max(live, 1), goPercent), mostPercent))
}
