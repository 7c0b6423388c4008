package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// endOne makes one job succeed now.
func (d *fixture) endOne() {
	d.t.Helper()
	id := d.add(nil)
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
}

var (
	qDropActivity = engine.NewQuery("DELETE FROM activity WHERE at < 9e18")
	qDropTallies  = engine.NewQuery("DELETE FROM tallies WHERE at < 9e18")
)

// A history with cached steps equals one without, whatever spans were read before and
// whether counters are rolled up.
func TestHeldStepsAreTheSame(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	held := d.Ledger.Activity
	for round := range 12 {
		d.endOne()
		d.clock.advance(time.Duration(round) * 7 * time.Minute)
		if round%3 == 0 {
			d.must(d.Rollup(t.Context()))
		}
		for _, span := range []time.Duration{time.Hour, 15 * time.Minute, 5 * time.Hour, 24 * time.Hour, 20 * time.Minute, 720 * time.Hour} {
			for _, program := range []string{"", "none"} {
				got := d.activity(span, program)
				d.Ledger.Activity = activity.New(d.access()) // holds nothing
				want := d.activity(span, program)
				d.Ledger.Activity = held
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("round %d, %v: %s", round, span, diff)
				}
			}
		}
	}
	d.write(qDropActivity)
	d.write(qDropTallies)
	held.Check = time.Hour
	if total(d.activity(24*time.Hour, "").Nodes) == 0 {
		t.Error("nothing is held")
	}
}

// A clock that was set back counts in cached steps. This ledger sees it at once, other
// ledgers of the same file after Check.
func TestLateEndsAreSeen(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	other := d.open()
	t.Cleanup(func() { _ = other.Close() })
	ends := func(l *Ledger) int64 {
		t.Helper()
		now := d.clock.now()
		a, err := l.Activity.History(t.Context(), now.Add(-time.Hour), now.Add(time.Minute), "")
		d.must(err)
		if total(a.Nodes) != total(a.Programs) {
			t.Errorf("%d ends by node, %d by program", total(a.Nodes), total(a.Programs))
		}
		return total(a.Nodes)
	}
	d.endOne()
	d.clock.advance(10 * time.Minute)
	for _, l := range []*Ledger{d.Ledger, other} {
		if n := ends(l); n != 1 {
			t.Fatalf("%d ends, want 1", n)
		}
		l.Activity.Check = time.Hour
	}
	d.clock.advance(-10 * time.Minute)
	d.endOne()
	d.clock.advance(10 * time.Minute)
	if n := ends(d.Ledger); n != 2 {
		t.Errorf("%d ends, want 2", n)
	}
	if n := ends(other); n != 1 {
		t.Errorf("nothing is held: %d ends", n)
	}
	other.Activity.Check = 0 // the moment has passed
	if n := ends(other); n != 2 {
		t.Errorf("another ledger of the file has %d ends, want 2", n)
	}
	d.must(d.Rollup(t.Context()))
	if n := ends(other); n != 2 {
		t.Errorf("rolled up, it has %d ends, want 2", n)
	}
}
