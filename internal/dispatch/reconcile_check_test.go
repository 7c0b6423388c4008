package dispatch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// queued accepts a job and returns the place of its message on the run tube.
func (f *fixture) queued(t *testing.T, id string) ledger.Placed {
	t.Helper()
	if _, err := f.acceptOne(t.Context(), document(id, "cat")); err != nil {
		t.Fatal(err)
	}
	return f.placed(t, id)
}

// placed returns the place of the message of a queued job.
func (f *fixture) placed(t *testing.T, id string) ledger.Placed {
	t.Helper()
	for server := range f.reconciler.living(t.Context()) {
		list, err := f.ledger.Queue(t.Context(), server, "cat", ledger.Placed{}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			if p.ID == id {
				return p
			}
		}
	}
	t.Fatalf("job %s has no message", id)
	return ledger.Placed{}
}

// consumer returns another client that reserves messages.
func (f *fixture) consumer(t *testing.T) *queue.Consumer {
	t.Helper()
	c, err := queue.NewConsumer(queue.Config{Addrs: []string{f.server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (f *fixture) reserve(t *testing.T) *queue.Delivery {
	t.Helper()
	d, err := f.consumer(t).Reserve(t.Context(), []string{f.sender.tubes.run("cat")})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// must fails the test for an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// later runs the check as if d had passed.
func (f *fixture) later(a *messageCheck, d time.Duration) {
	a.now = func() time.Time { return time.Now().Add(d) }
}

func TestCheckReplacesMessagesThatAreOfNoUse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(f *fixture, p ledger.Placed)
		want  string // in the event
		kept  bool   // the old message is still there
	}{
		"deleted by a stranger": {
			spoil: func(f *fixture, p ledger.Placed) {
				must(t, f.producer.Remove(t.Context(), f.server.Addr, []uint64{p.Message}))
			},
			want: "is not on beanstalkd any more",
		},
		"buried by a stranger": {
			spoil: func(f *fixture, p ledger.Placed) { must(t, f.reserve(t).Bury(t.Context(), 1)) },
			want:  "was buried",
		},
		"delayed for hours": {
			spoil: func(f *fixture, p ledger.Placed) {
				must(t, f.reserve(t).Release(t.Context(), 1, 2*time.Hour))
			},
			want: "more than was asked",
		},
		"held by a stranger": {
			spoil: func(f *fixture, p ledger.Placed) { f.reserve(t) },
			want:  "held for more than",
			kept:  true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := f.reconciler.check
			id := jobs.NewID()
			old := f.queued(t, id)
			c.spoil(f, old)
			living := f.reconciler.living(t.Context())
			a.run(t.Context(), living)
			if p := f.placed(t, id); p.Message != old.Message {
				t.Fatal("a young job was not left alone")
			}
			for _, d := range []time.Duration{checkAfter + time.Second, 2*checkAfter + 2*time.Second} {
				f.later(a, d)
				a.run(t.Context(), living)
			}
			fresh := f.placed(t, id)
			if fresh.Message == old.Message {
				t.Fatal("no new message was put")
			}
			f.wantResent(t, id, c.want)
			stats, err := f.producer.MessageStats(t.Context(), f.server.Addr, []uint64{old.Message, fresh.Message})
			must(t, err)
			if stats[0] != nil != c.kept || stats[1]["state"] != "ready" {
				t.Errorf("the messages are %v", stats)
			}
			if len(a.suspects) > 0 {
				t.Errorf("suspects left: %v", a.suspects)
			}
		})
	}
}

// Many messages are asked for one after the other. A job may run and end between the reading
// of its queue and the question for its message.
func TestJobThatHasRunMeanwhileGetsNoMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.reconciler.check
	id := jobs.NewID()
	old := f.queued(t, id)
	claim, err := f.ledger.Claim(t.Context(), id, ledger.Owner{Instance: "i1", Node: "n1"}, "")
	must(t, err)
	if !claim.OK {
		t.Fatalf("%+v", claim)
	}
	must(t, f.producer.Remove(t.Context(), f.server.Addr, []uint64{old.Message}))
	f.later(a, checkAfter+time.Second)
	must(t, a.replace(t.Context(), f.server.Addr, []ledger.Placed{old}, []map[string]string{nil}))
	events, err := f.ledger.Events.Newest(t.Context(), id, 0)
	must(t, err)
	if i := slices.IndexFunc(events, func(e eventlog.Event) bool { return e.Kind == "resent" }); i >= 0 {
		t.Errorf("%+v", events[i])
	}
	if n := f.messages(t); n != "1" {
		t.Errorf("%s messages were put", n)
	}
}

// A job may be queued again meanwhile, with a message that is delayed as it should be.
func TestMessageOfAJobThatChangedMeanwhileStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.reconciler.check
	id := jobs.NewID()
	old := f.queued(t, id)
	claim, err := f.ledger.Claim(t.Context(), id, ledger.Owner{Instance: "i1", Node: "n1"}, "")
	must(t, err)
	if !claim.OK {
		t.Fatalf("%+v", claim)
	}
	f.later(a, checkAfter+time.Second)
	late := map[string]string{"tube": f.sender.tubes.run("cat"), "state": "delayed", "time-left": "7200"}
	must(t, a.replace(t.Context(), f.server.Addr, []ledger.Placed{old}, []map[string]string{late}))
	stats, err := f.producer.MessageStats(t.Context(), f.server.Addr, []uint64{old.Message})
	must(t, err)
	if stats[0] == nil || f.messages(t) != "1" {
		t.Errorf("its message: %v, %s were put", stats[0], f.messages(t))
	}
}

func (f *fixture) wantResent(t *testing.T, id, want string) {
	t.Helper()
	events, err := f.ledger.Events.Newest(t.Context(), id, 0)
	must(t, err)
	for _, e := range events {
		if e.Kind == "resent" && strings.Contains(e.Message, want) {
			return
		}
	}
	t.Errorf("no event says %q: %+v", want, events)
}

// TestCheckSeesATimeToRunThatDoesNotFire checks messages that beanstalkd does not take
// back in time. It reports a negative time-left for them.
func TestCheckSeesATimeToRunThatDoesNotFire(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.reconciler.check
	p := ledger.Placed{Record: ledger.Record{ID: "a", Program: "cat"}, Message: 7}
	v := a.check(time.Now(), p, map[string]string{"tube": f.sender.tubes.run("cat"), "state": "reserved", "time-left": "-40"})
	if !strings.Contains(v.reason, "time-left -40") || v.remove {
		t.Errorf("%+v", v)
	}
	// A message of another job must stay.
	v = a.check(time.Now(), p, map[string]string{"tube": "runnerbean/inbox", "state": "buried"})
	if v.reason == "" || v.remove {
		t.Errorf("%+v", v)
	}
}

func TestCheckLeavesGoodMessagesAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.reconciler.check
	var before []ledger.Placed
	for range headSize + 2*partSize + 5 {
		before = append(before, f.queued(t, jobs.NewID()))
	}
	f.later(a, time.Minute)
	for range 5 {
		a.run(t.Context(), f.reconciler.living(t.Context()))
	}
	for _, p := range before {
		if now := f.placed(t, p.ID); now.Message != p.Message {
			t.Errorf("job %s has got message %d instead of %d", p.ID, now.Message, p.Message)
		}
	}
}

// TestCheckGoesThroughTheWholeQueue checks that a missing message behind the head of a
// long queue is found after some rounds.
func TestCheckGoesThroughTheWholeQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.reconciler.check
	var last ledger.Placed
	for range headSize + 3*partSize {
		last = f.queued(t, jobs.NewID())
	}
	must(t, f.producer.Remove(t.Context(), f.server.Addr, []uint64{last.Message}))
	f.later(a, time.Minute)
	for range 4 {
		a.run(t.Context(), f.reconciler.living(t.Context()))
	}
	if p := f.placed(t, last.ID); p.Message == last.Message {
		t.Error("its message is still missing")
	}
}

// TestMessagesThatSurviveARestartAreNotPutAgain restarts a server from its binlog. The
// server then has another id and the same messages.
func TestMessagesThatSurviveARestartAreNotPutAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "-b", t.TempDir())
	id := jobs.NewID()
	old := f.queued(t, id)
	f.server.Restart()
	living := f.reconciler.living(t.Context())
	list, _, err := f.ledger.Unsent(t.Context(), nil, time.Now().Add(time.Minute), 10)
	must(t, err)
	if rest, err := f.reconciler.resender.markFound(t.Context(), living, list); len(rest) > 0 || err != nil {
		t.Errorf("not found: %+v, %v", rest, err)
	}
	if p := f.placed(t, id); p.Message != old.Message || p.Server == old.Server {
		t.Errorf("%+v, was %+v", p, old)
	}
}

// TestCheckLeavesQuarantinedMessageWithNode checks that a message stays with a node
// that lets its other jobs end before it runs the job.
func TestCheckLeavesQuarantinedMessageWithNode(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := jobs.NewID()
	f.queued(t, id)
	must(t, f.reserve(t).Delete(t.Context()))
	for range ledger.QuarantineAfter {
		instance := jobs.NewID()
		must(t, f.ledger.Nodes.Register(t.Context(), nodes.Node{Name: instance, Instance: instance}))
		_, err := f.ledger.Claim(t.Context(), id, ledger.Owner{Instance: instance, Node: instance}, "")
		must(t, err)
		must(t, f.ledger.Nodes.Leave(t.Context(), instance))
		must(t, f.Recover(t.Context()))
	}
	r, err := f.ledger.Get(t.Context(), id)
	must(t, err)
	must(t, f.Send(t.Context(), []ledger.Record{r}))
	old := f.placed(t, id)
	f.reserve(t)
	a := f.reconciler.check
	for _, d := range []time.Duration{checkAfter + time.Second, 2*checkAfter + 2*time.Second} {
		f.later(a, d)
		a.run(t.Context(), f.reconciler.living(t.Context()))
	}
	if p := f.placed(t, id); p.Message != old.Message {
		t.Error("a new message was put")
	}
}
