package retry

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	var p Pace
	now := time.Unix(1000, 0)
	for _, step := range []struct {
		took, after time.Duration
		ready       bool
	}{{slow, 0, true}, {time.Second, 9*time.Second - 1, false}, {time.Second, 9 * time.Second, true}} {
		p.Took(now, step.took)
		if got := p.Ready(now.Add(step.after)); got != step.ready {
			t.Errorf("%v after an operation of %v: ready %t", step.after, step.took, got)
		}
	}
}
