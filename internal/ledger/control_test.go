package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestSetControl(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	began := d.clock.now().UTC()
	set := func(change func(*nodes.Control), expect *time.Time) (nodes.Control, error) {
		t.Helper()
		return d.Nodes.SetControl(t.Context(), "n1", change, "Ann", expect)
	}
	c, err := set(func(c *nodes.Control) { c.Slots, c.Reason = new(2), "night" }, &time.Time{})
	d.must(err)
	want := nodes.Control{Slots: new(2), Since: began, By: "Ann", Reason: "night", Updated: began}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if _, err := set(func(c *nodes.Control) { c.Paused = true }, &time.Time{}); !errors.Is(err, engine.ErrChanged) {
		t.Errorf("a control that has changed was overwritten: %v", err)
	}
	d.clock.advance(-time.Hour) // the clock is set back
	c, err = set(func(c *nodes.Control) { c.Paused, c.Slots, c.Reason = true, new(-5), "" }, &c.Updated)
	d.must(err)
	if !c.Updated.After(began) {
		t.Errorf("updated %v is not after %v", c.Updated, began)
	}
	all, err := d.Nodes.Controls(t.Context())
	d.must(err)
	if diff := cmp.Diff(map[string]nodes.Control{"n1": c}, all); diff != "" || !c.Paused || c.Slots != nil {
		t.Error(c, diff)
	}
	events, err := d.Events.Newest(t.Context(), "", 0)
	d.must(err)
	var got []string
	for _, e := range events {
		got = append(got, e.Kind+" "+e.Node+" "+e.By+" "+e.Message)
	}
	wantEvents := []string{
		"slots n1 Ann slots as in the node's own setting", "paused n1 Ann node takes no work, and its running programs stand still",
		"slots n1 Ann slots set to 2: night",
	}
	if diff := cmp.Diff(wantEvents, got); diff != "" {
		t.Error(diff)
	}
}

func TestActRefusesWhatHasChanged(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	seen := d.record(id).Updated
	d.clock.advance(time.Second)
	d.run(id)
	act := func(updated time.Time) error {
		list, err := d.Act(t.Context(), VerbCancel, "Ann", []Target{{ID: id, Updated: updated}})
		d.must(err)
		return list[0].Err
	}
	if err := act(seen); !errors.Is(err, engine.ErrChanged) || d.record(id).Asked != "" {
		t.Errorf("%v, asked %q", err, d.record(id).Asked)
	}
	if err := act(d.record(id).Updated); err != nil || d.record(id).Asked != VerbCancel {
		t.Errorf("%v, asked %q", err, d.record(id).Asked)
	}
}

func TestVitals(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	vitals := func() string {
		t.Helper()
		list, err := d.Nodes.List(t.Context())
		d.must(err)
		return string(list[0].Vitals)
	}
	if v := vitals(); v != "" {
		t.Errorf("vitals %q of a node that has said nothing", v)
	}
	d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, []byte(`{"cpus":2}`)))
	d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
	if v := vitals(); v != `{"cpus":2}` {
		t.Errorf("vitals %q", v)
	}
	d.clock.advance(15 * time.Second)
	if err := d.Nodes.Beat(t.Context(), "i1", nil, 3, []byte(strings.Repeat("x", 256<<10+1))); !errors.Is(err, engine.ErrTooBig) {
		t.Error(err)
	}
	list, err := d.Nodes.List(t.Context())
	d.must(err)
	if list[0].Slots != 3 || string(list[0].Vitals) != `{"cpus":2}` {
		t.Errorf("vitals that are too big cost the heartbeat: %+v", list[0])
	}
	// The vitals are deleted with the instance.
	d.clock.advance(30 * 24 * time.Hour)
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n9", Instance: "i9"}))
	left := 0
	d.must(sqlDB(d.Ledger).QueryRow("SELECT COUNT(*) FROM vitals").Scan(&left))
	if left != 0 {
		t.Errorf("vitals of %d instances are left", left)
	}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	ops := map[string]error{}
	d.observe = func(op string, took time.Duration, err error) {
		if took < 0 {
			t.Errorf("%s took %v", op, took)
		}
		ops[op] = err
	}
	id := d.add(nil)
	d.run(id)
	_, err := d.Get(t.Context(), jobs.NewID())
	if !errors.Is(err, ErrUnknown) || !errors.Is(ops["get"], ErrUnknown) {
		t.Errorf("%v, %v", err, ops)
	}
	for _, op := range []string{"accept", "claim"} {
		if err, ok := ops[op]; !ok || err != nil {
			t.Errorf("%s: %v", op, ops)
		}
	}
}
