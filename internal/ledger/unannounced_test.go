package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// awaiting returns an entry whose program no node has announced.
func awaiting(change func(*jobs.Job)) Entry {
	e := entry(func(j *jobs.Job) {
		j.Program = "late"
		if change != nil {
			change(j)
		}
	})
	e.Awaits = "no node has it"
	return e
}

func (d *fixture) announce(names ...string) {
	d.t.Helper()
	var list []nodes.Program
	for _, name := range names {
		list = append(list, nodes.Program{Name: name})
	}
	d.must(d.Nodes.Beat(d.t.Context(), "i1", list, 1, nil))
}

// TestJobWaitsForItsProgram waits until a node announces the program.
func TestJobWaitsForItsProgram(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	a := d.put(awaiting(nil))
	if a.Record.State != jobs.Waiting || a.Record.Reason != "no node has it" {
		t.Fatalf("%+v", a.Record)
	}
	need := d.add(nil)
	both := d.put(awaiting(func(j *jobs.Job) { j.Needs = []string{need} }))
	if want := "waits for 1 other job; no node has it"; both.Record.Reason != want {
		t.Errorf("%q, want %q", both.Record.Reason, want)
	}
	dependent := d.add(func(j *jobs.Job) { j.Needs = []string{a.Record.ID} })
	d.recount()
	d.announce("other")
	d.wantState(a.Record.ID, jobs.Waiting)

	d.announce("late", "other")
	if r := d.wantState(a.Record.ID, jobs.Queued); r.Reason != "" || !r.Due.Equal(d.clock.now()) {
		t.Errorf("%+v", r)
	}
	d.wantState(both.Record.ID, jobs.Waiting)
	d.recount()
	list, _, err := d.Unsent(t.Context(), nil, d.clock.now().Add(time.Hour), 10)
	d.must(err)
	if got := placedIDs(list); len(got) != 2 { // with the need
		t.Errorf("to be sent: %v", got)
	}
	d.end(need, d.run(need), jobs.Succeeded, jobs.OutcomeSucceeded)
	d.wantState(both.Record.ID, jobs.Queued)
	d.end(a.Record.ID, d.run(a.Record.ID), jobs.Succeeded, jobs.OutcomeSucceeded)
	d.wantState(dependent, jobs.Queued)
	d.recount()

	// Announced between the check and the record: the job waits for nothing.
	if a := d.put(awaiting(nil)); a.Record.State != jobs.Queued {
		t.Errorf("%+v", a.Record)
	}
	d.recount()
}

// TestProgramNeverAnnounced checks that the job fails some minutes after it was due,
// with the jobs that need it.
func TestProgramNeverAnnounced(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.announce("latte", "cat", "dog", "render")
	now := d.put(awaiting(nil)).Record.ID
	later := d.put(awaiting(func(j *jobs.Job) { j.NotBefore = d.clock.now().Add(time.Hour) })).Record.ID
	dependent := d.add(func(j *jobs.Job) { j.Needs = []string{now} })
	expire := func(want ...string) {
		t.Helper()
		got, err := d.Expire(t.Context(), 0)
		d.must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	d.clock.advance(announceLimit - time.Second)
	expire()
	d.clock.advance(time.Second)
	expire(now)
	r := d.wantState(now, jobs.Failed)
	if r.Error.Class != jobs.ClassDocument || r.Error.Pointer != "/program" || !strings.Contains(r.Error.Message, "the nearest known: latte") {
		t.Errorf("%+v", r.Error)
	}
	d.wantState(dependent, jobs.Failed)
	d.clock.advance(time.Hour - time.Second)
	expire()
	d.clock.advance(time.Second)
	expire(later)
	d.recount()

	// A person retries it once the program is installed.
	if acted, err := d.Act(t.Context(), VerbRetry, "", []Target{{ID: now}}); err != nil || acted[0].Err == nil {
		t.Errorf("%+v, %v", acted, err)
	}
	d.announce("late")
	job := awaiting(nil).Job
	acted, err := d.Act(t.Context(), VerbRetry, "", []Target{{ID: now, Job: &job}})
	d.must(err)
	if acted[0].Err != nil || acted[0].Record.State != jobs.Queued {
		t.Errorf("%+v", acted[0])
	}
	d.recount()
}

// TestCancelledWhileItWaitsForItsProgram checks that a retried job waits again.
func TestCancelledWhileItWaitsForItsProgram(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.put(awaiting(nil)).Record.ID
	_, err := d.act(VerbCancel, id)
	d.must(err)
	d.recount()
	acted, err := d.Act(t.Context(), VerbRetry, "", []Target{{ID: id, Awaits: "still no node has it"}})
	d.must(err)
	if r := acted[0].Record; acted[0].Err != nil || r.State != jobs.Waiting || r.Reason != "still no node has it" {
		t.Errorf("%+v", acted[0])
	}
	d.recount()
	d.announce("late")
	d.wantState(id, jobs.Queued)
	d.recount()
}

// TestHooksNameProgramsThatNobodyHasAnnounced checks that webhooks name programs that
// counters do not.
func TestHooksNameProgramsThatNobodyHasAnnounced(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	both := func(j *jobs.Job) { at(farBase)(j); hooked(j) }
	cancelled := d.put(awaiting(both)).Record.ID
	_, err := d.act(VerbCancel, cancelled)
	d.must(err)
	d.put(awaiting(both))
	d.clock.advance(announceLimit)
	if ids, err := d.Expire(t.Context(), 0); err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v", ids, err)
	}
	faulty := entry(func(j *jobs.Job) { both(j); j.Program = "late" })
	faulty.Fault = &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}
	d.put(faulty)
	list := d.due(time.Minute)
	if len(list) != 6 {
		t.Fatalf("%+v", list)
	}
	for _, h := range list {
		if h.Program != "late" {
			t.Errorf("a hook of kind %q names the program %q: %+v", h.Kind, h.Program, h)
		}
	}
	d.recount()
}

// TestManyUnannouncedPrograms checks that invented names leave no rows, and that many
// jobs of one program are released.
func TestManyUnannouncedPrograms(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	const many = 1000
	var entries []Entry
	for i := range many {
		entries = append(entries, awaiting(func(j *jobs.Job) {
			if i%2 == 0 {
				j.Program = fmt.Sprintf("made-up-%d", i)
			}
		}))
	}
	_, err := d.Accept(t.Context(), entries)
	d.must(err)
	d.recount()
	rows := func(table string, want int) {
		t.Helper()
		var n int
		d.must(sqlDB(d.Ledger).QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n))
		if n != want {
			t.Errorf("%d rows of %s, want %d", n, table, want)
		}
	}
	rows("job_counts WHERE program <> '' AND (waiting > 0 OR queued > 0 OR running > 0)", 0)
	d.announce("late")
	d.until(func() bool { // what is too much for one transaction follows
		var n int
		d.must(sqlDB(d.Ledger).QueryRow("SELECT COUNT(*) FROM jobs WHERE state = 'queued'").Scan(&n))
		return n == many/2
	})
	d.recount()
	d.clock.advance(time.Hour)
	for range many/2/defaultExpires + 1 {
		_, err := d.Expire(t.Context(), 0)
		d.must(err)
	}
	d.recount()
	rows("needs", 0)
	rows("tallies WHERE program LIKE 'made-up%'", 0)
	rows("job_counts WHERE program LIKE 'made-up%'", 0)
	b, err := d.Backlog(t.Context())
	d.must(err)
	if len(b.Programs) != 1 || b.Waiting != 0 {
		t.Errorf("%+v", b)
	}
}
