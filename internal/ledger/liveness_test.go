package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// observer opens the file of the fixture as another process with its own clock.
func (d *fixture) observer(off time.Duration) *fixture {
	d.t.Helper()
	o := &fixture{t: d.t, clock: &testClock{}, path: d.path}
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
