package ledger

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/live"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestReport(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	half, most := 0.5, 0.9
	report := func(attempt int, v Live) error { return d.Report(t.Context(), id, attempt, v) }
	if err := report(0, Live{Progress: &half}); !errors.Is(err, ErrStale) {
		t.Errorf("queued: %v", err)
	}
	d.run(id)
	d.must(report(1, Live{Progress: &half, Message: "week 3", Counters: map[string]float64{"a": 1, "b": 2}, Partial: []byte(`{"x":1}`)}))
	d.must(report(1, Live{Progress: &most, Counters: map[string]float64{"b": 3}}))
	d.must(report(1, Live{Message: strings.Repeat("ü", engine.MaxMessage)}))
	want := Live{
		Progress: &most, Message: strings.Repeat("ü", engine.MaxMessage/2), Counters: map[string]float64{"a": 1, "b": 3},
		Partial: []byte(`{"x":1}`), Updated: d.clock.now().UTC(),
	}
	if diff := cmp.Diff(want, d.record(id).Live); diff != "" {
		t.Error(diff)
	}
	want.Partial = nil
	page, err := d.List(t.Context(), listing.Filter{})
	d.must(err)
	if diff := cmp.Diff(want, page.Jobs[0].Live); diff != "" {
		t.Error(diff)
	}

	d.end(id, 1, jobs.Queued, jobs.OutcomeError)
	if err := report(1, Live{Message: "late"}); !errors.Is(err, ErrStale) {
		t.Errorf("late: %v", err)
	}
	d.run(id)
	if diff := cmp.Diff(Live{}, d.record(id).Live); diff != "" {
		t.Errorf("the next attempt begins with %s", diff)
	}
	d.must(report(2, Live{Message: "second"}))
	d.end(id, 2, jobs.Succeeded, jobs.OutcomeSucceeded)
	if diff := cmp.Diff(Live{}, d.record(id).Live); diff != "" {
		t.Error(diff)
	}
	if err := d.Report(t.Context(), jobs.NewID(), 1, Live{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
}

func TestReportBounds(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	d.run(id)
	many := map[string]float64{}
	for i := range live.MaxCounters {
		many[fmt.Sprint(i)] = 1
	}
	nan := math.NaN()
	d.must(d.Report(t.Context(), id, 1, Live{Counters: many, Partial: make([]byte, live.MaxPartial)}))
	for name, v := range map[string]Live{
		"one counter more": {Counters: map[string]float64{"more": 1}},
		"NaN counter":      {Counters: map[string]float64{"1": math.Inf(1)}},
		"NaN progress":     {Progress: &nan},
		"partial":          {Partial: make([]byte, live.MaxPartial+1)},
	} {
		if err := d.Report(t.Context(), id, 1, v); !errors.Is(err, engine.ErrTooBig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnsentAndMarkSent(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	lost, here, gone := d.add(nil), d.add(nil), d.add(nil)
	running := d.add(nil)
	d.run(running)
	d.must(d.MarkSent(t.Context(), []Sent{{here, "s1", 1}, {gone, "s0", math.MaxUint64}, {running, "s1", 2}, {jobs.NewID(), "s1", 3}}))
	unsent := func(before time.Duration, limit int, servers ...string) []string {
		t.Helper()
		list, _, err := d.Unsent(t.Context(), servers, d.clock.now().Add(before), limit)
		d.must(err)
		return placedIDs(list)
	}
	for _, c := range []struct{ got, want []string }{
		{unsent(0, 10, "s1", "s2"), nil}, // not old enough
		{unsent(time.Second, 10, "s0", "s1"), []string{lost}},
		{unsent(time.Second, 10, "s1"), []string{lost, gone}},
		{unsent(time.Second, 10), []string{lost, here, gone}},
		{unsent(time.Second, 1), []string{lost}},
	} {
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error(diff)
		}
	}
	// A job that is queued again has no message there any more.
	d.end(running, 1, jobs.Queued, jobs.OutcomeInterrupted)
	if got := unsent(time.Second, 10, "s0", "s1"); !slices.Contains(got, running) {
		t.Error("the mark of a job that ran is still there")
	}
	d.end(here, d.run(here), jobs.Queued, jobs.OutcomeInterrupted)
	if got := unsent(time.Second, 10, "s0", "s1"); !slices.Contains(got, here) {
		t.Error("the mark from before it ran is still there")
	}
}

func TestExpire(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	soon := func(j *jobs.Job) { j.Expires = d.clock.now().Add(time.Minute) }
	queued, running, again := d.add(soon), d.add(soon), d.add(soon)
	later := d.add(func(j *jobs.Job) { j.Expires = d.clock.now().Add(time.Hour) })
	waiting := d.add(func(j *jobs.Job) { soon(j); j.Needs = []string{later} })
	dependent := d.add(func(j *jobs.Job) { j.Needs = []string{queued} })
	d.run(running)
	d.end(again, d.run(again), jobs.Queued, jobs.OutcomeError)
	expire := func(want ...string) {
		t.Helper()
		got, err := d.Expire(t.Context(), 10)
		d.must(err)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	expire()
	d.clock.advance(time.Minute)
	expire(queued, waiting, again)
	for _, id := range []string{queued, waiting, again} {
		if r := d.wantState(id, jobs.Failed); r.Error.Class != jobs.ClassExpired {
			t.Errorf("%+v", r.Error)
		}
		if kinds := d.kinds(id); kinds[len(kinds)-1] != eventlog.KindExpired {
			t.Error(kinds)
		}
	}
	d.wantState(running, jobs.Running)
	d.wantState(dependent, jobs.Failed)
	d.recount()
}

func TestExpireOfANeedThatNeverCame(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	never, comes := jobs.NewID(), jobs.NewID()
	waits := d.add(func(j *jobs.Job) { j.Needs = []string{never} })
	dependent := d.add(func(j *jobs.Job) { j.Needs = []string{waits} })
	lucky := d.add(func(j *jobs.Job) { j.Needs = []string{comes} })
	d.clock.advance(time.Minute)
	d.add(func(j *jobs.Job) { j.ID = comes })
	d.clock.advance(time.Hour)
	got, err := d.Expire(t.Context(), 0)
	d.must(err)
	if diff := cmp.Diff([]string{waits}, got); diff != "" {
		t.Error(diff)
	}
	if r := d.wantState(waits, jobs.Failed); r.Error.Class != jobs.ClassNeeds {
		t.Errorf("%+v", r.Error)
	}
	d.wantState(dependent, jobs.Failed)
	d.wantState(lucky, jobs.Waiting)
	d.recount()
}

func TestPosition(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	put := func(program string, priority uint32) string {
		d.clock.advance(time.Second)
		return d.add(func(j *jobs.Job) { j.Program, j.Priority = program, &priority })
	}
	a, _, c := put("p", 10), put("q", 0), put("p", 10)
	urgent := put("p", 1)
	d.must(d.MarkSent(t.Context(), []Sent{{a, "s1", 1}, {urgent, "s2", 2}}))
	for id, want := range map[string]int{urgent: 0, a: 1, c: 2} {
		if n, ok, err := d.Position(t.Context(), id); n != want || !ok || err != nil {
			t.Errorf("position %d, %v, %v; want %d", n, ok, err, want)
		}
	}
	d.run(a)
	if _, ok, err := d.Position(t.Context(), a); ok || err != nil {
		t.Error("a running job has a position", err)
	}
	if _, _, err := d.Position(t.Context(), jobs.NewID()); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	many := make([]Entry, maxPosition)
	for i := range many {
		many[i] = entry(nil)
	}
	_, err := d.Accept(t.Context(), many)
	d.must(err)
	last := put("p", math.MaxUint32)
	if _, ok, err := d.Position(t.Context(), last); ok || err != nil {
		t.Error("more than 1000 before it, and yet a position", err)
	}
}

func TestEventsAndNote(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	d.clock.advance(time.Second)
	d.must(d.Events.Note(t.Context(), eventlog.Event{Kind: "buried", Message: strings.Repeat("x", engine.MaxReason+1)}))
	d.must(d.Events.Note(t.Context(), eventlog.Event{ID: "mine", At: d.clock.now().Add(time.Second), Kind: "seen", Job: id, Node: "n1", Message: "m"}))
	d.must(d.Events.Note(t.Context(), eventlog.Event{ID: "mine", Kind: "again"}))
	d.clock.advance(2 * time.Second)
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	if diff := cmp.Diff([]string{eventlog.KindAccepted, "seen", eventlog.KindSucceeded}, d.kinds(id)); diff != "" {
		t.Error(diff)
	}
	list, err := d.Events.Newest(t.Context(), "", 0)
	d.must(err)
	if len(list) != 2 || len(list[0].Message)+len(list[1].Message) != engine.MaxReason+1 {
		t.Errorf("%+v", list)
	}
	if list, err = d.Events.Newest(t.Context(), id, 1); err != nil || len(list) != 1 || list[0].Kind != eventlog.KindSucceeded || list[0].ID == "" {
		t.Error(list, err)
	}
}

func TestNodesAndPrograms(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	p := func(name, sum string) nodes.Program {
		return nodes.Program{Name: name, SHA256: sum, Input: []byte(`{"type":"object"}`)}
	}
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: "i2", BaseURL: "http://x", Version: "v1", Slots: 4, Programs: []nodes.Program{p("a", "1")}}))
	d.clock.advance(time.Second)
	d.must(d.Nodes.Beat(t.Context(), "i2", []nodes.Program{p("a", "2"), p("b", "1")}, 5, nil))
	d.must(d.Nodes.Beat(t.Context(), "i2", []nodes.Program{p("b", "1")}, 5, nil))
	programs, err := d.Nodes.Programs(t.Context())
	d.must(err)
	if diff := cmp.Diff([]nodes.Program{p("a", "2"), p("b", "1")}, programs); diff != "" {
		t.Error(diff)
	}
	now := d.clock.now().UTC()
	want := nodes.Node{Name: "n2", Instance: "i2", BaseURL: "http://x", Version: "v1", Slots: 5, Started: now.Add(-time.Second), Beat: now, Alive: true, Programs: []nodes.Program{p("b", "1")}}
	list, err := d.Nodes.List(t.Context())
	d.must(err)
	want.Seen = now.Round(100 * time.Millisecond)
	want.Lease, want.Lapses = defaultLease, want.Seen.Add(defaultLease)
	if diff := cmp.Diff(want, list[1]); diff != "" || len(list) != 2 {
		t.Error(diff)
	}
	d.must(d.Nodes.Leave(t.Context(), "i2"))
	if err := d.Nodes.Beat(t.Context(), "i2", nil, 1, nil); !errors.Is(err, nodes.ErrInstance) {
		t.Error(err)
	}
	list, err = d.Nodes.List(t.Context())
	if err != nil || !list[1].Beat.IsZero() || !list[1].Left.Equal(now) {
		t.Error(list, err)
	}
	d.clock.advance(7*24*time.Hour + time.Second)
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n3", Instance: "i3"}))
	if list, err = d.Nodes.List(t.Context()); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
	if err := d.Nodes.Beat(t.Context(), "i3", []nodes.Program{{Name: "big", Description: strings.Repeat("x", 4<<20)}}, 1, nil); !errors.Is(err, engine.ErrTooBig) {
		t.Error(err)
	}
}

// A program does not wait for a million jobs of another one.
func TestUnsentIsFair(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	var entries []Entry
	for i := range 300 {
		entries = append(entries, entry(func(j *jobs.Job) {
			if j.Program = "many"; i >= 290 {
				j.Program = "rare"
			}
		}))
	}
	_, err := d.Accept(t.Context(), entries)
	d.must(err)
	d.clock.advance(time.Minute)
	list, more, err := d.Unsent(t.Context(), nil, d.clock.now(), 100)
	d.must(err)
	got := map[string]int{}
	for _, p := range list {
		got[p.Program]++
	}
	if diff := cmp.Diff(map[string]int{"many": 50, "rare": 10}, got); diff != "" || !more {
		t.Errorf("more: %v %s", more, diff)
	}
	if list, more, err = d.Unsent(t.Context(), nil, d.clock.now(), 1000); err != nil || len(list) != 300 || more {
		t.Error(len(list), more, err)
	}
}

// A backoff that a node with a clock two hours ahead has set does not delay a job.
func TestBackoffOfAWrongClock(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	e := ending(jobs.Queued, jobs.OutcomeError)
	e.NotBefore = d.clock.now().Add(2 * time.Hour)
	_, err := d.Finish(t.Context(), id, d.run(id), e)
	d.must(err)
	r := d.record(id)
	if wait := r.Wait(d.clock.now()); wait != 0 {
		t.Errorf("waits for %v", wait)
	}
	d.run(id)
	later := d.add(func(j *jobs.Job) { j.NotBefore = d.clock.now().Add(2 * time.Hour) })
	if c, err := d.Claim(t.Context(), later, Owner{Instance: "i1", Node: "n1"}, ""); err != nil || c.OK {
		t.Errorf("a job that shall not start yet was claimed: %v", err)
	}
}

func TestRecover(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	mine, asked := d.add(nil), d.add(nil)
	d.run(mine)
	d.run(asked)
	_, err := d.act(VerbCancel, asked)
	d.must(err)
	recovered := func(want ...Recovered) {
		t.Helper()
		got, err := d.Recover(t.Context(), 0)
		d.must(err)
		sortByID := func(a, b Recovered) int { return strings.Compare(a.ID, b.ID) }
		slices.SortFunc(got, sortByID)
		slices.SortFunc(want, sortByID)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	recovered() // alive
	d.clock.advance(21 * time.Second)
	recovered(Recovered{mine, jobs.Queued}, Recovered{asked, jobs.Cancelled})
	d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
	r := d.wantState(mine, jobs.Queued)
	if r.Crashes != 1 || r.Spent != 0 || !r.NotBefore.IsZero() || r.Error.Class != jobs.OutcomeLost {
		t.Errorf("%+v", r)
	}
	limit := QuarantineAfter + QuarantineLimit
	for n := 2; n <= limit; n++ {
		if attempt := d.run(mine); attempt != n {
			t.Errorf("attempt %d, want %d", attempt, n)
		}
		d.clock.advance(21 * time.Second)
		want := jobs.Queued
		if n == limit {
			want = jobs.Failed
		}
		recovered(Recovered{mine, want})
		d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
	}
	if r := d.wantState(mine, jobs.Failed); r.Error.Class != jobs.OutcomeLost || r.Crashes != limit || r.AloneCrashes != QuarantineLimit {
		t.Errorf("%+v", r)
	}
	if list, err := d.Attempts(t.Context(), mine); err != nil || len(list) != limit || list[2].Outcome != jobs.OutcomeLost {
		t.Error(list, err)
	}
	d.recount()
}
