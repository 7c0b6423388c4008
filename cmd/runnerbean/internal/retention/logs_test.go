package retention

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestLeftLogs moves the logs of attempts to the store whose nodes have died, deletes that
// of a deleted job, and leaves that of a running one.
func TestLeftLogs(t *testing.T) {
	t.Parallel()
	p := newPlace(t, t.TempDir(), 0)
	ctx := t.Context()
	p.must(p.ledger.Nodes.Register(ctx, nodes.Node{Name: "n", Instance: "i"}))
	begin := func() string {
		j := jobs.Job{ID: jobs.NewID(), Program: "p"}
		_, err := p.ledger.Accept(ctx, []ledger.Entry{{Job: j, Document: []byte("{}")}})
		p.must(err)
		_, err = p.ledger.Claim(ctx, j.ID, ledger.Owner{Instance: "i", Node: "n"}, "")
		p.must(err)
		kept, err := p.ledger.Logs.Append(ctx, j.ID, 1, []logtext.Chunk{{Data: []byte("so far\n")}}, 0)
		p.must(err)
		if !kept {
			t.Fatal("the log of a running job is not kept")
		}
		return j.ID
	}
	end := func(id string) {
		_, err := p.ledger.Finish(ctx, id, 1, ledger.Ending{State: jobs.Failed, Outcome: jobs.OutcomeFailed})
		p.must(err)
	}
	running, left, stored, gone := begin(), begin(), begin(), begin()
	end(left)
	end(stored)
	end(gone)
	p.must(p.store.Create(ctx, store.LogKey(stored, 1), []byte("all of it\n")))
	record, err := p.ledger.Get(ctx, gone)
	p.must(err)
	acted, err := p.ledger.Act(ctx, ledger.VerbDelete, "", []ledger.Target{{ID: gone, Updated: record.Updated}})
	p.must(err)
	p.must(acted[0].Err)
	if _, found, err := p.ledger.Logs.Read(ctx, gone, 1, 0); found || err != nil {
		t.Errorf("the log of a deleted job is still there: %v", err)
	}

	l := leftLogs{ledger: p.ledger.Logs, store: p.store}
	p.must(l.move(ctx))
	if n := len(l.since); n != 2 {
		t.Errorf("%d logs are left, want 2", n)
	}
	if _, err := p.store.Open(ctx, store.LogKey(left, 1)); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("it was stored at once: %v", err)
	}
	for a := range l.since {
		l.since[a] = time.Now().Add(-leftFor)
	}
	p.must(l.move(ctx))
	for id, want := range map[string]string{left: "so far\n", stored: "all of it\n"} {
		o, err := p.store.Open(ctx, store.LogKey(id, 1))
		p.must(err)
		got, err := io.ReadAll(o)
		p.must(errors.Join(err, o.Close()))
		if string(got) != want {
			t.Errorf("the store has %q, want %q", got, want)
		}
		if _, found, err := p.ledger.Logs.Read(ctx, id, 1, 0); found || err != nil {
			t.Errorf("the ledger still has it: %v", err)
		}
	}
	if _, found, err := p.ledger.Logs.Read(ctx, running, 1, 0); !found || err != nil {
		t.Errorf("the log of a running job is gone: %v", err)
	}
}
