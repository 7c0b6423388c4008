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
	if _, err := f.Accept(t.Context(), []byte(document(jobs.NewID(), "cat")), ""); !errors.As(err, &held) || held.Retry() <= 0 {
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

func TestRetrySendsAMessageAndRepairsWhatWasUnknown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	id := jobs.NewID()
	f.put(t, "runnerbean/inbox", document(id, "late"))
	f.state(t, id, jobs.Failed)
	act := func() ledger.Acted {
		t.Helper()
		list, err := f.Act(t.Context(), ledger.VerbRetry, "Ann", []ledger.Target{{ID: id}})
		must(t, err)
		return list[0]
	}
	if a := act(); !errors.Is(a.Err, ledger.ErrDocument) {
		t.Errorf("retried although no node has its program: %+v", a)
	}
	must(t, f.ledger.Register(t.Context(), ledger.Node{Name: "n2", Instance: jobs.NewID(), Programs: []ledger.Program{{Name: "late", SHA256: "00"}}}))
	if a := act(); a.Err != nil || a.Record.State != jobs.Queued || a.Record.Program != "late" {
		t.Errorf("%+v", a)
	}
	if got := f.hint(t, "late"); got != id {
		t.Errorf("message for %s, want %s", got, id)
	}
}
