package ledger

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// observer opens the file of the fixture as another process with its own clock.
func (d *fixture) observer(off time.Duration) *fixture {
	d.t.Helper()
	o := &fixture{t: d.t, clock: &testClock{}, path: d.path, dsn: d.dsn}
	o.clock.us.Store(d.clock.now().Add(off).UnixMicro())
	o.Ledger = o.open()
	return o
}

// A node with a wrong clock is alive as long as its heartbeat changes, and dead a lease
// after the last change.
func TestLivenessDoesNotTrustOtherClocks(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{0, 2 * time.Hour, -2 * time.Hour} {
		d := newFixture(t)
		id := d.add(nil)
		d.run(id)
		o := d.observer(off)
		defer o.Close()
		pass := func() {
			d.clock.advance(15 * time.Second)
			o.clock.advance(15 * time.Second)
		}
		recovered := func(want int) {
			t.Helper()
			list, err := o.Recover(t.Context(), 0)
			o.must(err)
			if len(list) != want {
				t.Errorf("clock off by %v: recovered %v, want %d", off, list, want)
			}
		}
		for range 4 {
			recovered(0)
			pass()
			d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
		}
		recovered(0)
		list, err := o.Nodes.List(t.Context())
		o.must(err)
		if !list[0].Alive {
			t.Errorf("clock off by %v: %+v is not alive", off, list[0])
		}
		pass()
		recovered(0)
		pass()
		recovered(1)
		if list, err = o.Nodes.List(t.Context()); err != nil || list[0].Alive {
			t.Errorf("clock off by %v: %+v is alive, %v", off, list[0], err)
		}
		o.wantState(id, jobs.Queued)
	}
}

// The jobs of an instance that is not registered are lost after the lease.
func TestRecoverOfAnUnknownInstance(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	_, err := d.Claim(t.Context(), id, Owner{Instance: "nobody", Node: "n9"}, "")
	d.must(err)
	for _, want := range []int{0, 1} {
		list, err := d.Recover(t.Context(), 0)
		d.must(err)
		if len(list) != want {
			t.Errorf("recovered %v, want %d", list, want)
		}
		d.clock.advance(21 * time.Second)
	}
}

func TestRegisterRefusesATwin(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: "a", Home: "here"}))
	id := d.add(nil)
	_, err := d.Claim(t.Context(), id, Owner{Instance: "a", Node: "n2"}, "")
	d.must(err)
	stranger := nodes.Node{Name: "n2", Instance: "b", Home: "there"}
	if err := d.Nodes.Register(t.Context(), stranger); !errors.Is(err, nodes.ErrTwin) {
		t.Errorf("a stranger took the name of a living node: %v", err)
	}
	d.clock.advance(15 * time.Second)
	d.must(d.Nodes.Beat(t.Context(), "a", nil, 1, nil))
	d.clock.advance(15 * time.Second)
	if err := d.Nodes.Register(t.Context(), stranger); !errors.Is(err, nodes.ErrTwin) {
		t.Errorf("a stranger took the name of a living node: %v", err)
	}
	// The same data folder: its lock proves that the older instance is dead.
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: "c", Home: "here"}))
	list, err := d.Recover(t.Context(), 0)
	d.must(err)
	if len(list) != 1 || list[0].ID != id {
		t.Errorf("recovered %v, want %s at once", list, id)
	}
	d.clock.advance(21 * time.Second)
	d.must(d.Nodes.Register(t.Context(), stranger))
	if err := d.Nodes.Beat(t.Context(), "c", nil, 1, nil); !errors.Is(err, nodes.ErrInstance) {
		t.Errorf("the dead instance is still there: %v", err)
	}
}

// A node that starts again and again does not fill the list of nodes.
func TestOldInstancesAreForgotten(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for range 20 + 5 {
		d.clock.advance(time.Second)
		d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: jobs.NewID(), Home: "here"}))
	}
	list, err := d.Nodes.List(t.Context())
	d.must(err)
	if len(list) != 1+1+20 {
		t.Errorf("%d instances are listed", len(list))
	}
	alive := 0
	for _, n := range list {
		if n.Alive {
			alive++
		}
	}
	if alive != 1 {
		t.Errorf("%d are alive, want the newest", alive)
	}
}

// withLease opens the file of the fixture as another process with a lease of its own, and
// registers a node with its name.
func (d *fixture) withLease(name string, lease time.Duration) *fixture {
	d.t.Helper()
	o := &fixture{t: d.t, clock: d.clock, path: d.path, dsn: d.dsn}
	c := Config{DSN: d.dsn, Now: d.clock.now, Logger: slog.New(slog.DiscardHandler), Lease: lease}
	o.Ledger = newLedger(c)
	o.watching = always
	d.must(o.Ledger.open(d.t.Context(), c))
	o.queue.start()
	d.must(o.Nodes.Register(d.t.Context(), nodes.Node{Name: name, Instance: name + "-1", Home: name}))
	return o
}

// The lease of a node holds for that node: a node with a small one takes no jobs from a node
// with a large one, and all take the jobs of the first soon.
func TestEachNodeHasItsOwnLease(t *testing.T) {
	t.Parallel()
	for _, small := range []time.Duration{time.Second, 4 * time.Second} {
		d := newFixture(t)
		quick, slow := d.withLease("quick", small), d.withLease("slow", 80*time.Second)
		defer quick.Close()
		defer slow.Close()
		claim := func(o *fixture, name string) string {
			id := d.add(nil)
			c, err := o.Claim(t.Context(), id, Owner{Instance: name + "-1", Node: name}, "")
			d.must(err)
			if !c.OK {
				t.Fatalf("%+v", c)
			}
			return id
		}
		lost := func(by *fixture) (ids []string) {
			list, err := by.Recover(t.Context(), 0)
			d.must(err)
			for _, r := range list {
				ids = append(ids, r.ID)
			}
			return ids
		}
		alive := func(by *fixture) map[string]time.Duration {
			list, err := by.Nodes.List(t.Context())
			d.must(err)
			m := map[string]time.Duration{}
			for _, n := range list {
				if n.Alive {
					m[n.Name] = n.Lapses.Sub(n.Seen)
				}
			}
			return m
		}
		fast, long := claim(quick, "quick"), claim(slow, "slow")
		lost(quick)
		lost(slow)
		d.clock.advance(19 * time.Second) // the slow one beats every 20 s
		d.must(quick.Nodes.Beat(t.Context(), "quick-1", nil, 1, nil))
		for name, o := range map[string]*fixture{"quick": quick, "slow": slow} {
			if list := lost(o); len(list) > 0 {
				t.Errorf("lease %s: %s takes %v for lost", small, name, list)
			}
			want := map[string]time.Duration{"n1": 20 * time.Second, "quick": small, "slow": 80 * time.Second}
			if diff := cmp.Diff(want, alive(o)); diff != "" {
				t.Errorf("lease %s: alive as %s sees it: %s", small, name, diff)
			}
		}
		if c, err := quick.Claim(t.Context(), long, Owner{Instance: "quick-1", Node: "quick"}, ""); err != nil || !c.Alive {
			t.Errorf("lease %s: the job of a living node is said to run nowhere: %+v, %v", small, c, err)
		}
		d.clock.advance(small)
		if diff := cmp.Diff([]string{fast}, lost(slow)); diff != "" {
			t.Errorf("lease %s: lost as slow sees it: %s", small, diff)
		}
		d.clock.advance(80 * time.Second)
		if diff := cmp.Diff([]string{long}, lost(quick)); diff != "" {
			t.Errorf("lease %s: lost as quick sees it: %s", small, diff)
		}
	}
}

var qSetLease = engine.NewQuery("UPDATE nodes SET lease = ? WHERE instance = 'i1'")

// A node of an older program has no lease in its row: that of the observer holds. One that is
// too large is cut.
func TestNodesWithoutALeaseHaveThatOfTheObserver(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	d.run(id)
	for _, c := range []struct{ column, want time.Duration }{{0, 20 * time.Second}, {-1, 20 * time.Second}, {99 * time.Hour, nodes.MaxLease}} {
		d.write(qSetLease, c.column.Microseconds())
		d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
		d.clock.advance(c.want - time.Second)
		if list, err := d.Recover(t.Context(), 0); err != nil || len(list) > 0 {
			t.Errorf("%+v: lost %v, %v", c, list, err)
		}
		d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
	}
	d.clock.advance(nodes.MaxLease)
	if list, err := d.Recover(t.Context(), 0); err != nil || len(list) != 1 {
		t.Errorf("lost %v, %v", list, err)
	}
}

// A node that starts waits for the lease of its twin, not for its own.
func TestATwinIsAliveForItsOwnLease(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	o := d.withLease("slow", 80*time.Second)
	defer o.Close()
	stranger := nodes.Node{Name: "slow", Instance: "b", Home: "there"}
	for _, pass := range []time.Duration{0, 79 * time.Second} {
		d.clock.advance(pass)
		var twin *nodes.TwinError
		if err := d.Nodes.Register(t.Context(), stranger); !errors.As(err, &twin) || twin.Lease != 80*time.Second {
			t.Errorf("after %s: %v", pass, err)
		}
	}
	d.clock.advance(time.Second)
	d.must(d.Nodes.Register(t.Context(), stranger))
}

// After an outage that all nodes have seen, none of them is taken for dead.
func TestOutageOfTheLedger(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.run(d.add(nil))
	d.Close()
	c := Config{DSN: d.dsn, Now: d.clock.now, Logger: slog.New(slog.DiscardHandler)}
	var err error
	d.Ledger, err = Open(t.Context(), c) // with watch as nodes have it
	d.must(err)
	defer d.Close()
	for _, pass := range []time.Duration{5 * time.Second, time.Minute, 5 * time.Second, 4 * time.Second} {
		d.clock.advance(pass)
		if list, err := d.Recover(t.Context(), 0); err != nil || len(list) > 0 {
			t.Errorf("after %s more: lost %v, %v", pass, list, err)
		}
	}
	d.clock.advance(time.Second) // 5 s of the minute count
	if list, err := d.Recover(t.Context(), 0); err != nil || len(list) != 1 {
		t.Errorf("lost %v, %v", list, err)
	}
}
