package retry

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	least := Backoff{Base: time.Second, Max: 5 * time.Second, Jitter: func() float64 { return 0 }}
	most := least
	most.Jitter = func() float64 { return 1 }
	for _, n := range []int{0, 1, 2, 3, 4, 1 << 30} {
		got = append(got, least.Wait(n), most.Wait(n))
		if most.Wait(n) != most.Full(n) {
			t.Errorf("failure %d: the longest wait is %v, want Full, %v", n, most.Wait(n), most.Full(n))
		}
	}
	want := []time.Duration{500e6, 1e9, 500e6, 1e9, 1e9, 2e9, 2e9, 4e9, 2500e6, 5e9, 2500e6, 5e9}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	least.Jitter = nil
	if d := least.Wait(1); d < 500*time.Millisecond || d > time.Second {
		t.Errorf("with the default jitter: %v, want between 500 ms and 1 s", d)
	}
}

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		for i, want := range []struct {
			passed bool
			at     time.Duration
		}{{true, 2 * time.Second}, {false, 3 * time.Second}, {false, 3 * time.Second}} {
			passed := Sleep(ctx, 2*time.Second)
			if at := time.Since(start); passed != want.passed || at != want.at {
				t.Errorf("sleep %d: %v after %v, want %v after %v", i+1, passed, at, want.passed, want.at)
			}
		}
	})
}
