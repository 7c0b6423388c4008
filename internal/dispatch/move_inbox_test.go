package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

func (f *fixture) move(from, to string) InboxMove {
	return InboxMove{Queue: f.cfg.Queue, Prefix: f.cfg.Prefix, From: from, To: to}
}

// orphans makes a look and returns what it found.
func (f *fixture) orphans(t *testing.T) []api.OrphanedInbox {
	t.Helper()
	o := f.reconciler.orphaned
	tubes, err := f.producer.Tubes(t.Context(), f.server.Addr)
	must(t, err)
	o.look(t.Context(), f.server.Addr, tubes)
	return o.of(f.server.Addr)
}

// TestDocumentsOfNodesThatAreGoneAreFound puts documents for a node that nobody knows, for
// one that has left, for one that is alive and drained, and for this one.
func TestDocumentsOfNodesThatAreGoneAreFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	for _, n := range []string{"left", "drained"} {
		must(t, f.ledger.Nodes.Register(t.Context(), nodes.Node{Name: n, Instance: n, Slots: 1}))
	}
	must(t, f.ledger.Nodes.Leave(t.Context(), "left"))
	own := jobs.NewID()
	for _, inbox := range []string{"nobody", "nobody", "left", "drained"} {
		f.put(t, "runnerbean/inbox/"+inbox, document(jobs.NewID(), "cat"))
	}
	f.put(t, "runnerbean/inbox/n1", document(own, "cat"))
	f.put(t, "other/inbox/n1", "x")
	f.state(t, own, jobs.Queued)
	want := []api.OrphanedInbox{
		{Tube: "runnerbean/inbox/nobody", Node: "nobody", Messages: 2}, {Tube: "runnerbean/inbox/left", Node: "left", Messages: 1},
	}
	if diff := cmp.Diff(want, f.orphans(t)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, f.fresh(t)[0].Orphaned); diff != "" {
		t.Error(diff)
	}
	for _, from := range []string{"nobody", "left", "drained"} {
		_, err := f.move(from, "").Run(t.Context())
		must(t, err)
	}
	if got := f.orphans(t); len(got) > 0 {
		t.Errorf("after the move there are %+v", got)
	}
}

// TestOrphanedInboxesAreBounded has more inboxes than are named.
func TestOrphanedInboxesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 30 {
		f.put(t, fmt.Sprintf("runnerbean/inbox/n%d/x;y", i+10), "x")
	}
	f.put(t, "runnerbean/inbox/last", "x")
	f.put(t, "runnerbean/inbox/last", "x")
	if got := f.orphans(t); len(got) != maxOrphaned || got[0].Node != "last" {
		t.Errorf("%+v", got)
	}
}

// TestMoveLosesNoDocument has moves that are stopped again and again, and others beside
// them. Every document is accepted once.
func TestMoveLosesNoDocument(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	waitFor(t, func() bool {
		stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, "runnerbean/inbox")
		return err == nil && integer(stats["current-watching"]) > 0
	})
	var ids []string
	for i := range 200 {
		ids = append(ids, jobs.NewID())
		m := queue.Message{Tube: "runnerbean/inbox/old", Body: []byte(document(ids[i], "cat")), Priority: uint32(i)}
		if i%20 == 0 {
			m.Delay = time.Second
		}
		_, err := f.producer.Put(t.Context(), m)
		must(t, err)
	}
	var movers sync.WaitGroup
	for mover := range 3 {
		movers.Go(func() {
			for done := false; !done; {
				ctx, stop := context.WithCancel(t.Context())
				m := f.move("old", "")
				m.Progress = func(moved int64) {
					if moved == int64(7+mover) {
						stop()
					}
				}
				_, err := m.Run(ctx)
				done = err == nil
				if err != nil && ctx.Err() == nil {
					t.Error(err)
					done = true
				}
				stop()
			}
		})
	}
	movers.Wait()
	// beanstalkd may still have to notice the end of a connection that held a message.
	waitFor(t, func() bool {
		_, err := f.move("old", "").Run(t.Context())
		must(t, err)
		stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, "runnerbean/inbox/old")
		return err == nil && waitingOn(stats) == 0
	})
	for _, id := range ids {
		f.state(t, id, jobs.Queued)
	}
	if events := f.kinds(t, "conflict"); len(events) > 0 {
		t.Errorf("%q", events)
	}
	if stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, "runnerbean/inbox/old"); waitingOn(stats) > 0 || err != nil {
		t.Errorf("left are %v, %v", stats, err)
	}
}

// TestMoveKeepsPriorityAndDelay looks at what was moved, before a node takes it. A buried
// document stays.
func TestMoveKeepsPriorityAndDelay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const from, to = "runnerbean/inbox/old", "runnerbean/inbox/new"
	f.put(t, to, "held")
	f.put(t, from, "buried")
	c := f.consumer(t)
	_, err := c.Reserve(t.Context(), []string{to})
	must(t, err)
	d := f.consumer(t)
	b, err := d.Reserve(t.Context(), []string{from})
	must(t, err)
	must(t, b.Bury(t.Context(), 1))
	must(t, d.Close())
	_, err = f.producer.Put(t.Context(), queue.Message{Tube: from, Body: []byte("later"), Priority: 7, Delay: time.Hour, TTR: 9 * time.Second})
	must(t, err)
	_, err = f.producer.Put(t.Context(), queue.Message{Tube: from, Body: []byte("now"), Priority: 3, TTR: 8 * time.Second})
	must(t, err)
	// The server notices only soon that the connection that buried one is closed.
	waitFor(t, func() bool {
		done, err := f.move("old", "new").Run(t.Context())
		return err == nil && done == (Moved{Messages: 2, Buried: 1})
	})
	for body, want := range map[string]struct {
		state    queue.TubeState
		pri, ttr string
	}{"now": {queue.Ready, "3", "8"}, "later": {queue.Delayed, "7", "9"}} {
		id, got, err := f.producer.First(t.Context(), f.server.Addr, to, want.state)
		must(t, err)
		stats, err := f.producer.MessageStats(t.Context(), f.server.Addr, []uint64{id})
		must(t, err)
		left := seconds(stats[0]["time-left"])
		if string(got) != body || stats[0]["pri"] != want.pri || stats[0]["ttr"] != want.ttr || want.state == queue.Delayed && (left <= 0 || left > time.Hour) {
			t.Errorf("%s: %s %v", body, got, stats[0])
		}
	}
}

func TestMoveIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, "runnerbean/inbox/old", "x")
	for name, c := range map[string]struct{ from, to, says string }{
		"from nobody":      {"", "", "say whose"},
		"to itself":        {"old", "old", "say whose"},
		"to nobody":        {"old", "misspelt", "no node takes from runnerbean/inbox/misspelt"},
		"to no node":       {"old", "", "no node takes from runnerbean/inbox;"},
		"not a tube":       {"o ld", "", "bad tube name"},
		"not a tube to go": {"old", strings.Repeat("x", 300), "bad tube name"},
	} {
		if done, err := f.move(c.from, c.to).Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) || done.Messages > 0 {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
	f.serve(t)
	f.put(t, "runnerbean/inbox/n1", document(jobs.NewID(), "cat"))
	waitFor(t, func() bool {
		dry := f.move("old", "")
		dry.DryRun = true
		done, err := dry.Run(t.Context())
		return err == nil && done.Messages == 1
	})
	f.server.Stop()
	if _, err := f.move("old", "").Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("without a server: %v", err)
	}
}

// TestMoveKeepsWhatCannotBePut has a server that takes no more messages.
func TestMoveKeepsWhatCannotBePut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, "runnerbean/inbox/old", "x")
	f.put(t, "runnerbean/inbox/new", "held")
	_, err := f.consumer(t).Reserve(t.Context(), []string{"runnerbean/inbox/new"})
	must(t, err)
	f.server.Signal(syscall.SIGUSR1) // drain mode
	waitFor(t, func() bool {
		servers, err := f.producer.Servers(t.Context())
		return err == nil && servers[0].Stats["draining"] == "true"
	})
	if done, err := f.move("old", "new").Run(t.Context()); !errors.Is(err, queue.ErrDraining) || done.Messages > 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, "runnerbean/inbox/old"); waitingOn(stats) != 1 || err != nil {
		t.Errorf("left are %v, %v", stats, err)
	}
}
