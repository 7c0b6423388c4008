package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// TestScheduled checks when a node asks for more urgent jobs: when a scheduled job has just
// become due, or when that is not known.
func TestScheduled(t *testing.T) {
	t.Parallel()
	var next time.Time
	var err error
	looks := 0
	s := &scheduled{seen: map[string]seenDue{}, nextDue: func(context.Context, string, time.Time) (time.Time, error) {
		looks++
		return next, err
	}}
	later := func() { // the last look holds no longer
		for addr, seen := range s.seen {
			seen.at = seen.at.Add(-lookAtScheduled)
			s.seen[addr] = seen
		}
	}
	look := func(what, server string, none bool) {
		t.Helper()
		looks = 0
		if got := s.none(t.Context(), &queue.Delivery{Addr: "a", Server: server}); got != none || looks != 1 {
			t.Errorf("%s: none is %t after %d looks", what, got, looks)
		}
	}
	look("no scheduled job", "s1", true)
	later()
	next = time.Now().Add(time.Hour)
	look("a job for later", "s1", true)
	next = time.Now().Add(-time.Millisecond)
	look("the server has started again", "s2", false)
	later()
	next = time.Time{}
	look("the job has gone", "s2", true)
	later()
	err = errors.New("no answer")
	look("the ledger does not answer", "s2", false)
	s.seen["a"] = seenDue{server: "s2", at: time.Now().Add(time.Hour), next: time.Now().Add(-time.Millisecond)}
	looks = 0
	if s.none(t.Context(), &queue.Delivery{Addr: "a", Server: "s2"}) || looks > 0 {
		t.Errorf("the job of the last look has become due: %d looks", looks)
	}
}
