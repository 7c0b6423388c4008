package retention

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestCheckpointsAreRemoved removes the objects of checkpoints that were dropped, that jobs have
// left that have succeeded, and those of deleted jobs, and no others.
func TestCheckpointsAreRemoved(t *testing.T) {
	t.Parallel()
	p := newPlace(t, t.TempDir(), 0)
	ctx := t.Context()
	p.must(p.ledger.Nodes.Register(ctx, nodes.Node{Name: "n", Instance: "i"}))
	save := func(id string, record bool) {
		n, ok, err := p.ledger.Checkpoints.Begin(ctx, id, 1)
		p.must(err)
		p.must(p.store.Create(ctx, store.CheckpointKey(id, 1, n), []byte("x")))
		if record && ok {
			ok, err = p.ledger.Checkpoints.Record(ctx, checkpoints.Checkpoint{Job: id, Number: n, Attempt: 1, SHA256: "s", Size: 1})
			p.must(err)
		}
		if !ok {
			t.Fatal("the checkpoint of a running job is refused")
		}
	}
	begin := func() string {
		j := jobs.Job{ID: jobs.NewID(), Program: "p"}
		_, err := p.ledger.Accept(ctx, []ledger.Entry{{Job: j, Document: []byte("{}")}})
		p.must(err)
		_, err = p.ledger.Claim(ctx, j.ID, ledger.Owner{Instance: "i", Node: "n"}, "")
		p.must(err)
		for range 3 {
			save(j.ID, true)
		}
		save(j.ID, false) // whose node was killed before it was recorded
		return j.ID
	}
	end := func(id string, state jobs.State) {
		_, err := p.ledger.Finish(ctx, id, 1, ledger.Ending{State: state, Outcome: jobs.OutcomeFailed})
		p.must(err)
	}
	objects := func() map[string]int {
		found, err := filepath.Glob(filepath.Join(p.dir, "store", "checkpoints", "*", "*"))
		p.must(err)
		count := map[string]int{}
		for _, name := range found {
			count[filepath.Base(name)[:36]]++
		}
		return count
	}
	running, failed, succeeded, deleted := begin(), begin(), begin(), begin()
	end(failed, jobs.Failed)
	end(succeeded, jobs.Succeeded)
	end(deleted, jobs.Failed)
	acted, err := p.ledger.Act(ctx, ledger.VerbDelete, "", []ledger.Target{{ID: deleted}})
	p.must(err)
	p.must(acted[0].Err)
	l := p.loop("")
	for range 2 {
		p.must(l.Round(ctx))
	}
	got := objects()
	for id, want := range map[string]int{running: 3, failed: 3, succeeded: 0, deleted: 0} { // two, and the one that was begun
		if got[id] != want {
			t.Errorf("%d objects are left, want %d", got[id], want)
		}
	}
	if list, err := p.ledger.Checkpoints.Dropped(ctx, checkpoints.Key{}); err != nil || len(list) > 0 {
		t.Errorf("rows are left: %v, %v", list, err)
	}

	// An object that cannot be removed is left for a later round.
	save(running, true)
	stuck := filepath.Join(p.dir, "store", store.CheckpointKey(running, 1, 2))
	p.must(os.Remove(stuck))
	p.must(os.MkdirAll(filepath.Join(stuck, "x"), 0o700))
	if err := l.Round(ctx); err == nil {
		t.Error("nothing says that an object cannot be removed")
	}
	p.must(os.RemoveAll(stuck))
	p.must(l.Round(ctx))
	if _, err := p.store.Open(ctx, store.CheckpointKey(running, 1, 2)); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
