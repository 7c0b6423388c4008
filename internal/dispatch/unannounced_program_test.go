package dispatch

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// installs makes another node announce a program.
func installs(t *testing.T, l *ledger.Ledger, program string) {
	t.Helper()
	must(t, l.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: jobs.NewID(), Programs: []nodes.Program{{Name: program, SHA256: "00"}}}))
}

// TestInboxJobWaitsForItsProgram checks that an unknown program is answered with
// similar names, and that the job gets its message when a node announces the program.
// Accept refuses such a document at once.
func TestInboxJobWaitsForItsProgram(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	id := jobs.NewID()
	f.put(t, "runnerbean/inbox", document(id, "forecas"))
	r := f.state(t, id, jobs.Waiting)
	if !strings.Contains(r.Reason, `"forecas"; the nearest known: forecast`) {
		t.Errorf("%q", r.Reason)
	}
	var fault *jobs.Fault
	if _, err := f.acceptOne(t.Context(), document(jobs.NewID(), "forecas")); !errors.As(err, &fault) || fault.Pointer != "/program" {
		t.Errorf("%v", err)
	}
	good := jobs.NewID()
	f.put(t, "runnerbean/inbox", document(good, "cat"))
	f.hint(t, "cat")
	stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, f.sender.tubes.run("forecas"))
	if must(t, err); len(stats) > 0 {
		t.Errorf("there is a tube for the program: %v", stats)
	}
	installs(t, f.ledger, "forecas")
	if got := f.hint(t, "forecas"); got != id {
		t.Errorf("the message is of %s", got)
	}
	f.state(t, id, jobs.Queued)
}

// TestInboxJobIsGivenUpWithoutItsProgram checks that the job fails when its program
// does not come, and runs when a person retries it after the installation.
func TestInboxJobIsGivenUpWithoutItsProgram(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	var ahead atomic.Int64
	l, err := ledger.Open(t.Context(), ledger.Config{
		DSN: "sqlite:" + filepath.Join(t.TempDir(), "ledger.db"),
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	announce(t, l, "forecast")
	d, err := New(Config{Queue: queue.Config{Addrs: []string{server.Addr}}, Ledger: l, Interval: 50 * time.Millisecond})
	must(t, err)
	t.Cleanup(func() { d.Close() })
	f := &fixture{Dispatcher: d, server: server, ledger: l}
	f.serve(t)
	id, cancelled := jobs.NewID(), jobs.NewID()
	f.put(t, "runnerbean/inbox", document(id, "forecas"))
	f.put(t, "runnerbean/inbox", document(cancelled, "forecas"))
	f.state(t, id, jobs.Waiting)
	f.state(t, cancelled, jobs.Waiting)
	act := func(verb ledger.Verb, id string) error {
		acted, err := d.Act(context.WithoutCancel(t.Context()), verb, "a person", []ledger.Target{{ID: id}})
		must(t, err)
		return acted[0].Err
	}
	must(t, act(ledger.VerbCancel, cancelled))
	ahead.Store(int64(11 * time.Minute))
	r := f.state(t, id, jobs.Failed)
	if r.Error.Class != jobs.ClassDocument || r.Error.Pointer != "/program" || !strings.Contains(r.Error.Message, "the nearest known: forecast") {
		t.Errorf("%+v", r.Error)
	}
	if err := act(ledger.VerbRetry, id); !errors.Is(err, ledger.ErrDocument) {
		t.Errorf("retried without the program: %v", err)
	}
	must(t, act(ledger.VerbRetry, cancelled))
	f.state(t, cancelled, jobs.Waiting)
	installs(t, l, "forecas")
	f.state(t, cancelled, jobs.Queued)
	must(t, act(ledger.VerbRetry, id))
	f.state(t, id, jobs.Queued)
	for range 2 {
		if got := f.hint(t, "forecas"); got != id && got != cancelled {
			t.Errorf("a message is of %s", got)
		}
	}
}
