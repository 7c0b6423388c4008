package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/backlog"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

func (d *fixture) activity(span time.Duration, program string) activity.History {
	d.t.Helper()
	now := d.clock.now()
	a, err := d.Activity.History(d.t.Context(), now.Add(-span), now.Add(time.Microsecond), program)
	d.must(err)
	// The engines return the rows of a step in orders of their own.
	byName := func(a, b activity.Tally) int {
		name := func(t activity.Tally) string { return fmt.Sprintf("%06d %s %s %s", t.Step, t.Node, t.Program, t.State) }
		return strings.Compare(name(a), name(b))
	}
	slices.SortFunc(a.Nodes, byName)
	slices.SortFunc(a.Programs, byName)
	return a
}

// total returns the number of ends in list.
func total(list []activity.Tally) (n int64) {
	for _, v := range list {
		n += v.N
	}
	return n
}

func TestActivity(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	start := d.clock.now().UTC()
	id := d.add(func(j *jobs.Job) { j.Program = "p" })
	d.clock.advance(3 * time.Second)
	attempt := d.run(id)
	d.clock.advance(5 * time.Second)
	e := ending(jobs.Queued, jobs.OutcomeError)
	e.CPU, e.NotBefore = time.Second, d.clock.now().Add(time.Minute)
	_, err := d.Finish(t.Context(), id, attempt, e)
	d.must(err)
	d.clock.advance(62 * time.Second) // 2 s after its backoff
	attempt = d.run(id)
	d.clock.advance(7 * time.Second)
	d.end(id, attempt, jobs.Succeeded, jobs.OutcomeSucceeded)
	_, err = d.act(VerbCancel, d.add(func(j *jobs.Job) { j.Program = "q" }))
	d.must(err)

	want := activity.History{From: start.Truncate(time.Minute).Add(-time.Minute), Step: time.Minute, Steps: 3}
	failed := activity.Tally{Step: 1, Class: jobs.OutcomeError, N: 1, Run: 5 * time.Second, CPU: time.Second, Wait: 3 * time.Second}
	done := activity.Tally{Step: 2, State: jobs.Succeeded, Class: jobs.OutcomeSucceeded, N: 1, Run: 7 * time.Second, Wait: 2 * time.Second}
	cancelled := activity.Tally{Step: 2, State: jobs.Cancelled, Class: jobs.OutcomeCancelled, N: 1}
	on := func(v activity.Tally, node, program string) activity.Tally {
		v.Node, v.Program = node, program
		return v
	}
	want.Nodes = []activity.Tally{on(failed, "n1", ""), on(cancelled, "", ""), on(done, "n1", "")}
	want.Programs = []activity.Tally{on(failed, "", "p"), on(done, "", "p"), on(cancelled, "", "q")}
	want.Depth = []activity.Depth{unseen, unseen, unseen}
	check := func(when string) {
		t.Helper()
		if diff := cmp.Diff(want, d.activity(2*time.Minute, "")); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	check("counted")
	d.must(d.Rollup(t.Context()))
	check("rolled up in part")
	one := d.activity(2*time.Minute, "p")
	if diff := cmp.Diff([]activity.Tally{on(failed, "", "p"), on(done, "", "p")}, one.Programs); diff != "" || one.Nodes != nil {
		t.Error(diff, one.Nodes)
	}
	d.clock.advance(10 * time.Minute)
	d.must(d.Rollup(t.Context()))
	d.must(d.Rollup(t.Context()))
	for span, step := range map[time.Duration]time.Duration{6 * time.Hour: time.Minute, 24 * time.Hour: 10 * time.Minute, 720 * time.Hour: 2 * time.Hour} {
		if a := d.activity(span, ""); a.Step != step || total(a.Nodes) != 3 || total(a.Programs) != 3 {
			t.Errorf("%v: %+v", span, a)
		}
	}
	d.clock.advance(25 * time.Hour)
	d.must(d.Rollup(t.Context()))
	if a := d.activity(72*time.Hour, "q"); total(a.Programs) != 1 {
		t.Errorf("%+v", a.Programs)
	}
}

// unseen is a step without a sample.
var unseen = activity.Depth{Queued: -1, Running: -1, Waiting: -1}

func TestDepth(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first := d.add(nil)
	d.add(nil)
	d.must(d.Activity.SampleDepth(t.Context()))
	d.run(first)
	d.must(d.Activity.SampleDepth(t.Context())) // in the same minute
	d.clock.advance(2 * time.Minute)
	d.must(d.Activity.SampleDepth(t.Context()))
	want := []activity.Depth{{Queued: 2, Running: 1}, unseen, {Queued: 1, Running: 1}}
	if diff := cmp.Diff(want, d.activity(2*time.Minute, "").Depth); diff != "" {
		t.Error(diff)
	}
	a := d.activity(24*time.Hour, "")
	if got := a.Depth[len(a.Depth)-1]; got != (activity.Depth{Queued: 2, Running: 1}) {
		t.Errorf("in ten minutes: %+v", got)
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	since := d.clock.now()
	for _, run := range []time.Duration{3 * time.Millisecond, 5 * time.Millisecond, 40 * time.Millisecond, 30 * 24 * time.Hour} {
		id := d.add(nil)
		attempt := d.run(id)
		d.clock.advance(run)
		d.end(id, attempt, jobs.Succeeded, jobs.OutcomeSucceeded)
		if run < time.Second {
			d.must(d.Rollup(t.Context()))
		}
	}
	id := d.add(nil)
	d.end(id, d.run(id), jobs.Failed, jobs.OutcomeFailed) // does not count
	got, mean, err := d.Activity.Durations(t.Context(), "p", since)
	d.must(err)
	if len(got) != 27 || mean != (48*time.Millisecond+30*24*time.Hour)/4 {
		t.Errorf("%d bins, mean %v", len(got), mean)
	}
	if diff := cmp.Diff([]api.Bin{{UpTo: 0.005, N: 2}, {UpTo: 0.01}, {UpTo: 0.02}, {UpTo: 0.05, N: 1}}, got[:4]); diff != "" {
		t.Error(diff)
	}
	if last := got[len(got)-1]; last != (api.Bin{N: 1}) {
		t.Errorf("%+v", last)
	}
	if got, _, err := d.Activity.Durations(t.Context(), "none", since); got != nil || err != nil {
		t.Error(got, err)
	}
}

// A clock that jumps by hours loses no counts, and every rollup ends.
func TestCountersOutliveClockJumps(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	var furthest time.Time
	for i, jump := range []time.Duration{0, 5 * time.Hour, -7 * time.Hour, time.Minute, 3 * time.Hour, -time.Minute, 2 * time.Hour} {
		d.clock.advance(jump)
		furthest = engine.Later(furthest, d.clock.now())
		id := d.add(nil)
		d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
		d.must(d.Activity.SampleDepth(t.Context()))
		d.must(d.Rollup(t.Context()))
		a, err := d.Activity.History(t.Context(), furthest.Add(-12*time.Hour), furthest.Add(time.Hour), "")
		d.must(err)
		if n := total(a.Nodes); n != int64(i+1) {
			t.Errorf("after jump %d there are %d ends, want %d", i, n, i+1)
		}
	}
}

// The counters take bounded room. A clock that is years ahead for a moment costs few of
// them.
func TestCountersArePruned(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	rows := func(table string, seconds int) (n int) {
		d.must(sqlDB(d.Ledger).QueryRow(fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE grain = %d", table, seconds)).Scan(&n))
		return n
	}
	const hours = 40
	for range hours {
		for range 4 {
			d.clock.advance(15 * time.Minute)
			id := d.add(nil)
			d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
			d.must(d.Activity.SampleDepth(t.Context()))
		}
		d.must(d.Rollup(t.Context()))
		d.must(d.Rollup(t.Context()))
	}
	if n := rows("activity", 60); n < 2*4*25 || n > 2*4*27 {
		t.Errorf("%d rows of minutes are kept", n)
	}
	if n := rows("depths", 60); n < 4*25 || n > 4*27 {
		t.Errorf("%d minutes of depths are kept", n)
	}
	if n := rows("activity", 600); n < 2*4*hours-2 {
		t.Errorf("%d rows of ten minutes are kept", n)
	}
	before := rows("activity", 60)
	d.clock.advance(10 * 365 * 24 * time.Hour)
	d.must(d.Rollup(t.Context()))
	if n := rows("activity", 60); n < before*8/10 {
		t.Errorf("%d rows of %d are left after a moment of a clock that is years ahead", n, before)
	}
	for range 100 {
		d.must(d.Rollup(t.Context()))
	}
	left := 0
	d.must(sqlDB(d.Ledger).QueryRow("SELECT (SELECT COUNT(*) FROM activity) + (SELECT COUNT(*) FROM depths) + (SELECT COUNT(*) FROM durations)").Scan(&left))
	if left != 0 {
		t.Errorf("%d rows are left after ten years", left)
	}
}

// Several processes that roll up at once count nothing twice.
func TestRollupByMany(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	others := []*Ledger{d.Ledger, d.open(), d.open()}
	defer others[1].Close()
	defer others[2].Close()
	const n = 40
	for range n {
		id := d.add(nil)
		d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
		d.clock.advance(time.Minute)
	}
	var wg sync.WaitGroup
	errs := make(chan error, 3*len(others))
	for _, l := range others {
		wg.Go(func() {
			for range 3 {
				errs <- l.Rollup(context.Background())
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		d.must(err)
	}
	for _, span := range []time.Duration{6 * time.Hour, 24 * time.Hour, 168 * time.Hour} {
		if a := d.activity(span, ""); total(a.Nodes) != n || total(a.Programs) != n {
			t.Errorf("%v: %d by node, %d by program", span, total(a.Nodes), total(a.Programs))
		}
	}
}

// TestBacklogOldest checks that the age of a backlog ignores jobs that are set for later
// or back off, and the time before a retry.
func TestBacklogOldest(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	start := d.clock.now().UTC()
	urgent := uint32(1)
	tomorrow := start.Add(24 * time.Hour)
	d.add(func(j *jobs.Job) { j.Program, j.NotBefore, j.Priority = "a", tomorrow, &urgent })
	d.add(func(j *jobs.Job) { j.Program, j.NotBefore = "a", tomorrow })
	again, backs := d.add(func(j *jobs.Job) { j.Program = "d" }), d.add(func(j *jobs.Job) { j.Program = "e" })
	d.end(again, d.run(again), jobs.Failed, jobs.OutcomeError)
	d.clock.advance(time.Second)
	d.add(func(j *jobs.Job) { j.Program = "a" })
	d.clock.advance(time.Second)
	d.add(func(j *jobs.Job) { j.Program = "a"; j.Priority = &urgent })
	id := d.add(func(j *jobs.Job) { j.Program = "b" })
	d.add(func(j *jobs.Job) { j.Program, j.NotBefore = "c", tomorrow })
	d.must(d.MarkSent(t.Context(), []Sent{{ID: id, Server: "s", Message: 1}}))
	_, err := d.act(VerbRetry, again)
	d.must(err)
	e := ending(jobs.Queued, jobs.OutcomeError)
	e.NotBefore = d.clock.now().Add(time.Minute)
	_, err = d.Finish(t.Context(), backs, d.run(backs), e)
	d.must(err)
	second := start.Add(2 * time.Second)
	want := Backlog{Queued: 8, Scheduled: 4, Oldest: start.Add(time.Second), Programs: []ProgramBacklog{
		{Program: "a", Queued: 4, Scheduled: 2, Oldest: start.Add(time.Second)},
		{Program: "b", Queued: 1, Oldest: second},
		{Program: "c", Queued: 1, Scheduled: 1},
		{Program: "d", Queued: 1, Oldest: second},
		{Program: "e", Queued: 1, Scheduled: 1},
	}}
	check := func() {
		t.Helper()
		b, err := d.Backlog(t.Context())
		d.must(err)
		if diff := cmp.Diff(want, b); diff != "" {
			t.Error(diff)
		}
		d.recount()
	}
	check()
	d.clock.advance(time.Minute) // the backoff is over
	want.Scheduled, want.Programs[4].Scheduled, want.Programs[4].Oldest = 3, 0, second.Add(time.Minute)
	check()
}

// TestManyScheduledJobsAreNotDue checks the count above its limit.
func TestManyScheduledJobsAreNotDue(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.maxScheduled = 2
	add := func(n int, notBefore time.Time) {
		for range n {
			d.add(func(j *jobs.Job) { j.NotBefore = notBefore })
		}
	}
	want := func(scheduled int64) {
		t.Helper()
		b, err := d.Backlog(t.Context())
		d.must(err)
		if b.Scheduled != scheduled || b.Programs[0].Scheduled != scheduled {
			t.Errorf("%d scheduled, want %d: %+v", b.Scheduled, scheduled, b)
		}
	}
	add(5, d.clock.now().Add(time.Hour))
	want(5)
	add(3, time.Time{})
	want(5)
	add(backlog.DueTimes*2, time.Time{}) // too many of both: at least the bound
	want(2)
}

// Documents with a fault may name any program. They share one counter.
func TestFaultsAreCountedTogether(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.must(d.Nodes.Beat(t.Context(), "i1", []nodes.Program{{Name: "known"}}, 1, nil))
	for i := range 20 {
		e := entry(func(j *jobs.Job) { j.Program = []string{"known", fmt.Sprint("made up ", i)}[i%2] })
		e.Fault = &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}
		d.put(e)
	}
	fault := activity.Tally{Step: 2, State: jobs.Failed, Class: jobs.ClassDocument, N: 10}
	known := fault
	known.Program = "known"
	if diff := cmp.Diff([]activity.Tally{fault, known}, d.activity(2*time.Minute, "").Programs); diff != "" {
		t.Error(diff)
	}
}
