package dispatch

import (
	"errors"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestHeldInboxJobsStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Hold("the queue is drained")
	f.serve(t)
	id := jobs.NewID()
	f.put(t, "runnerbean/inbox", document(id, "cat"))
	var held *Held
	if _, err := f.acceptOne(t.Context(), document(jobs.NewID(), "cat")); !errors.As(err, &held) || held.Retry() <= 0 {
		t.Errorf("Accept: %v", err)
	}
	f.Hold("still")
	if _, err := f.ledger.Get(t.Context(), id); !errors.Is(err, ledger.ErrUnknown) {
		t.Errorf("the job was taken: %v", err)
	}
	f.Hold("")
	f.state(t, id, jobs.Queued)

	f.Hold("again")
	second := jobs.NewID()
	f.put(t, "runnerbean/inbox", document(second, "cat"))
	if _, err := f.ledger.Get(t.Context(), second); !errors.Is(err, ledger.ErrUnknown) {
		t.Errorf("the job was taken: %v", err)
	}
	f.Hold("")
	f.state(t, second, jobs.Queued)
}
