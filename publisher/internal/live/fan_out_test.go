package live

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/internal/panics"
)

func TestPanicInAFanOutReachesTheCaller(t *testing.T) {
	t.Parallel()
	list := make([]int, 4*fanOutLeast)
	for i := range list {
		list[i] = i
	}
	var sent atomic.Int64
	caught := panics.Catch(func() {
		fanOut(list, func(i int) {
			if i == 0 {
				_ = []int{}[i]
			}
			sent.Add(1)
		})
	})
	if caught == nil || !strings.Contains(caught.What, "index out of range") || !strings.Contains(caught.Stack, "fan_out_test.go") {
		t.Errorf("caught %+v after %d sends", caught, sent.Load())
	}
}
