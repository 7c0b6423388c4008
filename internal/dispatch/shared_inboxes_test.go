package dispatch

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// beside returns a dispatcher with a ledger of its own on the beanstalkd of f.
func (f *fixture) beside(t *testing.T, node, inbox string) *fixture {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	announce(t, l, "forecast", "cat")
	d, err := New(Config{
		Queue: queue.Config{Addrs: []string{f.server.Addr}}, Node: node, Inbox: inbox, Ledger: l,
		Interval: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return &fixture{Dispatcher: d, server: f.server, ledger: l}
}

// shared makes a look and returns what it found.
func (f *fixture) shared(t *testing.T) []api.SharedInbox {
	t.Helper()
	s := &sharedInboxes{ledger: f.ledger, producer: f.producer, tubes: f.sender.tubes, events: f.reconciler.events}
	tubes, err := f.producer.Tubes(t.Context(), f.server.Addr)
	must(t, err)
	s.look(t.Context(), f.server.Addr, tubes)
	return s.of(f.server.Addr)
}

// takes waits until the dispatcher sees n other nodes that take from inboxes.
func (f *fixture) takes(t *testing.T, n int) {
	t.Helper()
	waitFor(t, func() bool {
		readers, err := InboxReaders(t.Context(), f.producer, f.server.Addr, f.cfg.Prefix)
		others := slices.DeleteFunc(readers, func(reader InboxReader) bool { return reader.Ledger == f.ledger.ID() })
		return err == nil && len(others) == n
	})
}

// TestSharedInboxIsFound checks that nodes of several ledgers that take from one inbox
// see each other.
func TestSharedInboxIsFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if got := f.shared(t); len(got) > 0 {
		t.Errorf("alone: %+v", got)
	}
	f.serve(t)
	for name, c := range map[string]struct {
		node, inbox string
		tubes       []string // from which both take
		do          string
	}{
		"the common inbox":         {"n2", InboxShared, []string{"runnerbean/inbox"}, "RUNNERBEAN_INBOX=node"},
		"the name of a node":       {"n1", InboxNode, []string{"runnerbean/inbox/n1"}, "RUNNERBEAN_NODE"},
		"both":                     {"n1", InboxShared, []string{"runnerbean/inbox", "runnerbean/inbox/n1"}, "RUNNERBEAN_PREFIX"},
		"an inbox of its own":      {"n3", InboxNode, nil, ""},
		"a name that has slashes.": {"n1/inbox/n1", InboxNode, nil, ""},
	} {
		other := f.beside(t, c.node, c.inbox)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- other.Run(ctx) }()
		f.takes(t, 1)
		other.takes(t, 1)
		var tubes []string
		var text string
		for _, s := range other.shared(t) {
			tubes, text = append(tubes, s.Tube), text+s.Text
			if diff := cmp.Diff([]string{"n1"}, s.Nodes); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if diff := cmp.Diff(c.tubes, tubes); diff != "" || !strings.Contains(text, c.do) {
			t.Errorf("%s: %s\n%s", name, text, diff)
		}
		cancel()
		must(t, <-ended)
		f.takes(t, 0)
	}
	if got := f.shared(t); len(got) > 0 {
		t.Errorf("alone again: %+v", got)
	}
}

// TestInboxOfOneLedgerIsNotShared checks that nodes with the same ledger and messages
// on such a tube are not reported.
func TestInboxOfOneLedgerIsNotShared(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	f.put(t, "runnerbean/intake/shared/strangerxx/n9", "x")
	f.put(t, "runnerbean/intake/x", "x")
	if got := f.shared(t); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// TestCopiedLedgerIsFound checks that a node with a copy of the ledger is found, for
// instance after a data folder was copied to another machine. A node with the ledger
// itself is not.
func TestCopiedLedgerIsFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := filepath.Join(t.TempDir(), "copy.db")
	f.sql(t, "VACUUM INTO '"+path+"'")
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + path})
	must(t, err)
	defer l.Close()
	join := func(l *ledger.Ledger, node string) {
		d, err := New(Config{Queue: f.cfg.Queue, Node: node, Ledger: l, Interval: -1, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		t.Cleanup(func() { d.Close() })
		must(t, l.Nodes.Register(t.Context(), nodes.Node{Name: node, Instance: jobs.NewID()}))
		(&fixture{Dispatcher: d}).serve(t)
		waitFor(t, func() bool {
			readers, err := InboxReaders(t.Context(), f.producer, f.server.Addr, f.cfg.Prefix)
			return err == nil && slices.ContainsFunc(readers, func(reader InboxReader) bool { return reader.Node == node })
		})
	}
	join(f.ledger, "n2")
	if got := f.shared(t); len(got) > 0 {
		t.Errorf("one ledger: %+v", got)
	}
	join(l, "n3")
	got := f.shared(t)
	if len(got) != 1 || !strings.Contains(got[0].Text, "A copy of this node's ledger is in use (node n3)") {
		t.Errorf("a copy: %+v", got)
	}
}

// TestNodeInboxAlone checks that a node with an inbox of its own takes no documents
// from the common one.
func TestNodeInboxAlone(t *testing.T) {
	t.Parallel()
	f := (&fixture{server: queuetest.Start(t)}).beside(t, "n1", InboxNode)
	f.serve(t)
	common, own := jobs.NewID(), jobs.NewID()
	f.put(t, "runnerbean/inbox", document(common, "cat"))
	f.put(t, "runnerbean/inbox/n1", document(own, "cat"))
	f.state(t, own, jobs.Queued)
	stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, "runnerbean/inbox")
	must(t, err)
	if stats["current-jobs-ready"] != "1" {
		t.Errorf("the common inbox: %v", stats)
	}
	if n := f.fresh(t)[0].UnreadInbox; n != 1 {
		t.Errorf("%d documents are not taken", n)
	}
	f.beside(t, "n2", InboxShared).serve(t)
	waitFor(t, func() bool { return f.fresh(t)[0].UnreadInbox == 0 })
}

func TestBadInbox(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, c := range []Config{
		{Inbox: "both", Node: "n1"}, {Inbox: InboxNode}, {Node: "n 1"}, {Node: strings.Repeat("x", 170)},
	} {
		c.Ledger = f.ledger
		if d, err := New(c); err == nil {
			d.Close()
			t.Errorf("%+v is taken", c)
		}
	}
}

func FuzzReaderOf(f *testing.F) {
	for _, seed := range []string{"p/intake/shared/abc/n1", "p/intake/node/abc/a/b", "p/intake/", "p/intake/node//", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tube string) {
		if reader, ok := readerOf("p", tube); ok && reader.tube("p") != tube {
			t.Errorf("%q becomes %+v", tube, reader)
		}
	})
}
