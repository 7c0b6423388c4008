package dispatch

import (
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestBegunWorkComesFirst puts the messages of jobs that were begun behind those of 50 new ones:
// one lost with its node, and one that has failed with a checkpoint. They come before these, and
// one that has failed without a checkpoint after them.
func TestBegunWorkComesFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	claim := func(id string) string {
		instance := jobs.NewID()
		must(t, f.ledger.Nodes.Register(t.Context(), nodes.Node{Name: instance, Instance: instance}))
		c, err := f.ledger.Claim(t.Context(), id, ledger.Owner{Instance: instance, Node: instance}, "")
		must(t, err)
		if !c.OK {
			t.Fatalf("%s is not claimed", id)
		}
		return instance
	}
	fail := func(id string) {
		_, err := f.ledger.Finish(t.Context(), id, 1, ledger.Ending{
			Outcome: jobs.OutcomeError, State: jobs.Queued, ExitCode: 1, Error: &jobs.Error{Class: jobs.OutcomeError, Message: "m"},
		})
		must(t, err)
	}
	lost, saved, failed := jobs.NewID(), jobs.NewID(), jobs.NewID()
	for _, id := range []string{lost, saved, failed} {
		f.queued(t, id)
		must(t, f.reserve(t).Delete(t.Context()))
	}
	must(t, f.ledger.Nodes.Leave(t.Context(), claim(lost)))
	claim(saved)
	n, _, err := f.ledger.Checkpoints.Begin(t.Context(), saved, 1)
	must(t, err)
	_, err = f.ledger.Checkpoints.Record(t.Context(), checkpoints.Checkpoint{Job: saved, Number: n, Attempt: 1, SHA256: "s", Size: 1})
	must(t, err)
	fail(saved)
	claim(failed)
	fail(failed)
	must(t, f.Recover(t.Context()))
	fresh := make([]string, 50)
	for i := range fresh {
		fresh[i] = jobs.NewID()
		f.queued(t, fresh[i])
	}
	for _, id := range []string{failed, lost, saved} {
		r, err := f.ledger.Get(t.Context(), id)
		must(t, err)
		must(t, f.Send(t.Context(), []ledger.Record{r}))
	}
	want := append([]string{lost, saved}, append(fresh, failed)...)
	for i, id := range want {
		if got := f.hint(t, "cat"); got != id {
			t.Fatalf("message %d is of %s, want %s", i, got, id)
		}
	}
}
