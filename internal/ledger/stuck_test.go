package ledger

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

// A document says how long it waits for a need that nobody has put.
func TestNeedsTimeout(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	mistyped := func(limit jobs.Duration) string {
		return d.add(func(j *jobs.Job) { j.Needs, j.NeedsTimeout = []string{jobs.NewID()}, limit })
	}
	short, usual, patient := mistyped(jobs.Duration(5*time.Minute)), mistyped(0), mistyped(jobs.Forever)
	expired := func(want ...string) {
		t.Helper()
		got, err := d.Expire(t.Context(), 0)
		d.must(err)
		if !slices.Equal(got, want) {
			t.Errorf("failed %v, want %v", got, want)
		}
	}
	d.clock.advance(5*time.Minute - time.Second)
	expired()
	d.clock.advance(time.Second)
	expired(short)
	if r := d.wantState(short, jobs.Failed); r.Error.Class != jobs.ClassNeeds || !strings.Contains(r.Error.Message, "never came") {
		t.Errorf("%+v", r.Error)
	}
	d.clock.advance(55 * time.Minute)
	expired(usual)
	d.clock.advance(10 * 365 * 24 * time.Hour)
	expired()
	d.wantState(patient, jobs.Waiting)
	d.recount()
}

// A need that nobody has put is told of after ten minutes, and no more when it is there.
func TestMissingNeedsAreFound(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	need := jobs.NewID()
	since := d.clock.now().UTC()
	id := d.add(func(j *jobs.Job) { j.Needs, j.NeedsTimeout = []string{need}, jobs.Forever })
	d.withNeeds(d.add(nil)) // waits for one that is there
	check := func(want int) {
		t.Helper()
		n, oldest, err := d.Stuck.Missing(t.Context())
		d.must(err)
		of, found, err := d.Stuck.MissingOf(t.Context(), id)
		d.must(err)
		if n != want || found != (want > 0) {
			t.Errorf("%d needs are missing, of the job %v; want %d", n, found, want)
		}
		if want > 0 && (oldest != of || of.Job != id || of.Need != need || !of.Since.Equal(since)) {
			t.Errorf("%+v, of the job %+v", oldest, of)
		}
	}
	d.clock.advance(10*time.Minute - time.Second)
	check(0)
	d.clock.advance(time.Second)
	check(1)
	d.add(func(j *jobs.Job) { j.ID = need })
	check(0)
}

// Interruptions by restarts are counted. From the third on reason and event tell of them,
// with numbers. They cost nothing, and a reset forgets them.
func TestInterruptionsAreToldOf(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	interrupt := func(run time.Duration, shutdown bool) Record {
		t.Helper()
		attempt := d.run(id)
		d.clock.advance(run)
		e := ending(jobs.Queued, jobs.OutcomeInterrupted)
		e.Reason, e.Shutdown = "interrupted: node n1 was shut down", shutdown
		_, err := d.Finish(t.Context(), id, attempt, e)
		d.must(err)
		return d.record(id)
	}
	interrupt(time.Hour, false) // a fault of the node is no restart
	interrupt(2*time.Hour, true)
	if r := interrupt(time.Minute, true); r.Interruptions != 2 || r.LongestInterrupted != 2*time.Hour || strings.Contains(r.Reason, "times") || r.Spent != 0 {
		t.Errorf("%+v", r)
	}
	if n, _, err := d.Stuck.Interrupted(t.Context()); err != nil || n != 0 {
		t.Errorf("%d jobs are told of, %v", n, err)
	}
	r := interrupt(time.Minute, true)
	const want = "interrupted it 3 times, the longest run after 2h0m0s"
	if r.Interruptions != 3 || !strings.Contains(r.Reason, want) || !strings.Contains(r.InterruptedText(), want) {
		t.Errorf("%q, %+v", r.Reason, r)
	}
	events, err := d.Events.Newest(t.Context(), id, 1)
	d.must(err)
	if events[0].Kind != eventlog.KindInterrupted || !strings.Contains(events[0].Message, want) {
		t.Errorf("%+v", events[0])
	}
	if n, most, err := d.Stuck.Interrupted(t.Context()); err != nil || n != 1 || most.Job != id || most.Times != 3 || most.Longest != 2*time.Hour {
		t.Errorf("%d, %+v, %v", n, most, err)
	}
	d.run(id)
	if n, _, err := d.Stuck.Interrupted(t.Context()); err != nil || n != 1 {
		t.Errorf("%d running jobs are told of, %v", n, err)
	}
	_, err = d.act(VerbReset, id)
	d.must(err)
	d.end(id, d.record(id).Attempt, jobs.Queued, jobs.OutcomeInterrupted)
	if r := d.record(id); r.Interruptions != 0 || r.LongestInterrupted != 0 {
		t.Errorf("after a reset: %+v", r)
	}
}
