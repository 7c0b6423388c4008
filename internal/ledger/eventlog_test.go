package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

// journal returns a ledger with n events of all sorts, and the events, newest first.
func journal(t *testing.T, n int) (*fixture, []eventlog.Event) {
	d := newFixture(t)
	var list []eventlog.Event
	for i := range n {
		if i%3 == 0 {
			d.clock.advance(time.Second)
		}
		list = append(list, eventlog.Event{
			Kind: []string{"lost", "retried", "resent"}[i%3], Node: []string{"", "n1", "n2"}[i%5%3],
			By: []string{"", "Ann"}[i%7%2], Message: fmt.Sprintf("Number %d", i), At: d.clock.now().UTC(),
		})
	}
	d.must(d.Events.NoteAll(t.Context(), list))
	slices.Reverse(list)
	return d, list
}

// logPages returns all pages of an event log.
func (d *fixture) logPages(f eventlog.Filter) (list []eventlog.Event) {
	d.t.Helper()
	for range 1000 {
		p, err := d.Events.Search(d.t.Context(), f)
		d.must(err)
		if f.Limit > 0 && len(p.Events) > f.Limit {
			d.t.Fatalf("%d events on a page of %d", len(p.Events), f.Limit)
		}
		list = append(list, p.Events...)
		if p.Next == "" {
			return list
		}
		f.Cursor = p.Next
	}
	d.t.Fatal("the pages do not end")
	return nil
}

func TestEventLog(t *testing.T) {
	t.Parallel()
	d, all := journal(t, 2*listing.MaxWalk+100)
	since, until := all[1500].At, all[40].At
	for name, c := range map[string]struct {
		f    eventlog.Filter
		want func(*eventlog.Event) bool
	}{
		"all":            {eventlog.Filter{}, func(*eventlog.Event) bool { return true }},
		"kind":           {eventlog.Filter{Kind: "lost"}, func(e *eventlog.Event) bool { return e.Kind == "lost" }},
		"node":           {eventlog.Filter{Node: "n1"}, func(e *eventlog.Event) bool { return e.Node == "n1" }},
		"kind and node":  {eventlog.Filter{Kind: "lost", Node: "n2"}, func(e *eventlog.Event) bool { return e.Kind == "lost" && e.Node == "n2" }},
		"persons":        {eventlog.Filter{Human: new(true)}, func(e *eventlog.Event) bool { return e.By != "" }},
		"machine":        {eventlog.Filter{Human: new(false)}, func(e *eventlog.Event) bool { return e.By == "" }},
		"since":          {eventlog.Filter{Since: since}, func(e *eventlog.Event) bool { return !e.At.Before(since) }},
		"since of kind":  {eventlog.Filter{Since: since, Kind: "resent"}, func(e *eventlog.Event) bool { return !e.At.Before(since) && e.Kind == "resent" }},
		"until of human": {eventlog.Filter{Until: until, Human: new(true)}, func(e *eventlog.Event) bool { return e.At.Before(until) && e.By != "" }},
		"text":           {eventlog.Filter{Text: "NUMBER 3"}, func(e *eventlog.Event) bool { return len(e.Message) >= 8 && e.Message[:8] == "Number 3" }},
		"none":           {eventlog.Filter{Kind: "none"}, func(*eventlog.Event) bool { return false }},
	} {
		var want []string
		for i := range all {
			if c.want(&all[i]) {
				want = append(want, all[i].Message)
			}
		}
		for _, limit := range []int{0, 7, 1000} {
			c.f.Limit = limit
			var got []string
			for _, e := range d.logPages(c.f) {
				got = append(got, e.Message)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, limit %d: %s", name, limit, diff)
			}
		}
	}
	if p, err := d.Events.Search(t.Context(), eventlog.Filter{Text: "nowhere"}); err != nil || p.Next == "" || p.Back.IsZero() {
		t.Errorf("%+v, %v: want a page that says how far it looked", p, err)
	}
	if _, err := d.Events.Search(t.Context(), eventlog.Filter{Cursor: "x"}); !errors.Is(err, listing.ErrCursor) {
		t.Error(err)
	}
}

func TestEventLogOfAJob(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	for range 3 {
		d.clock.advance(time.Second)
		d.end(id, d.run(id), jobs.Failed, jobs.OutcomeFailed)
		d.clock.advance(time.Second)
		_, err := d.act(VerbRetry, id)
		d.must(err)
	}
	var got []string
	for _, e := range d.logPages(eventlog.Filter{Job: id, Limit: 2}) {
		got = append(got, e.Kind+e.By)
	}
	want := []string{"retriedAnn", "failed", "retriedAnn", "failed", "retriedAnn", "failed", "accepted"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := d.logPages(eventlog.Filter{Job: id, Human: new(true), Since: d.clock.now()}); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// A reader that continues after the last event misses none, even if the clock is set
// back or two processes write.
func TestEventsAfter(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	other := d.observer(-time.Hour)
	defer other.Close()
	var want []string
	for i, jump := range []time.Duration{0, time.Second, -3 * time.Hour, time.Minute, 5 * time.Hour, -time.Hour} {
		d.clock.advance(jump)
		for k, l := range []*Ledger{d.Ledger, other.Ledger} {
			message := fmt.Sprint(i, k)
			d.must(l.Events.Note(t.Context(), eventlog.Event{Kind: "x", Message: message}))
			want = append(want, message)
		}
	}
	var got []string
	for last := ""; ; {
		list, err := d.Events.After(t.Context(), last, 5)
		d.must(err)
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			got, last = append(got, e.Message), e.ID
			if !jobs.ValidID(e.ID) {
				t.Errorf("%s is not a UUID", e.ID)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNoteOnce has several nodes find the same thing.
func TestNoteOnce(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	conflict := func(node, message string) eventlog.Event {
		return eventlog.Event{Kind: eventlog.KindConflict, Job: "j", Node: node, Message: message}
	}
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error { return d.Events.NoteOnce(t.Context(), conflict(fmt.Sprint("n", i), "differs")) })
	}
	d.must(g.Wait())
	d.must(d.Events.NoteOnce(t.Context(), conflict("n1", "differs too")))
	list, err := d.Events.Newest(t.Context(), "j", 0)
	d.must(err)
	var got []string
	for i := range list {
		got = append(got, list[i].Message)
	}
	if diff := cmp.Diff([]string{"differs too", "differs"}, got); diff != "" {
		t.Error(diff)
	}
}
