package queues

import (
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestMessagePriority(t *testing.T) {
	t.Parallel()
	end := func(o jobs.Outcome) *jobs.Error { return &jobs.Error{Class: o} }
	for name, c := range map[string]struct {
		priority   uint32
		attempt    int
		last       *jobs.Error
		checkpoint bool
		want       uint32
	}{
		"new":                      {7, 0, nil, false, 7},
		"interrupted":              {7, 1, end(jobs.OutcomeInterrupted), false, 6},
		"lost":                     {7, 2, end(jobs.OutcomeLost), false, 6},
		"queued again":             {7, 3, nil, false, 6},
		"an error":                 {7, 1, end(jobs.OutcomeError), false, 7},
		"an error, checkpoint":     {7, 1, end(jobs.OutcomeError), true, 6},
		"the most urgent":          {0, 1, end(jobs.OutcomeLost), true, 0},
		"the last that goes ahead": {7, maxAhead, end(jobs.OutcomeInterrupted), true, 6},
		"over and over again":      {7, maxAhead + 1, end(jobs.OutcomeInterrupted), true, 7},
	} {
		if got := MessagePriority(c.priority, c.attempt, c.last, c.checkpoint); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
