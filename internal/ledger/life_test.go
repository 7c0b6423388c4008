package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/recent"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestClaim(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(func(j *jobs.Job) { j.Labels = map[string]string{"a": "b"} })
	d.put(e)
	d.clock.advance(time.Second)
	c, err := d.Claim(t.Context(), e.Job.ID, Owner{Instance: "i1", Node: "n1"}, "abc")
	d.must(err)
	now := d.clock.now().UTC()
	want := Record{
		ID: e.Job.ID, Program: "p", State: jobs.Running, Priority: 1024, Document: e.Document, Labels: e.Job.Labels,
		Accepted: now.Add(-time.Second), Due: now.Add(-time.Second), Started: now, Updated: now, Attempt: 1, Node: "n1", Instance: "i1",
	}
	if diff := cmp.Diff(Claim{OK: true, Record: want}, c); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, d.record(e.Job.ID)); diff != "" {
		t.Error(diff)
	}
	attempts, err := d.Attempts(t.Context(), e.Job.ID)
	d.must(err)
	a := Attempt{Job: e.Job.ID, Number: 1, Node: "n1", Instance: "i1", ProgramSHA256: "abc", Started: now, ExitCode: -1}
	if diff := cmp.Diff([]Attempt{a}, attempts); diff != "" {
		t.Error(diff)
	}
	d.recount()
}

// TestClaimAfterChanges checks that a claim returns the job as it is now, not as this process
// has accepted it.
func TestClaimAfterChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d, other *fixture, id string){
		"nothing":               func(*fixture, *fixture, string) {},
		"accepted by another":   func(d, _ *fixture, _ string) { d.queue.tx.accepted = recent.Jobs[Record]{} },
		"cancelled and retried": func(d, _ *fixture, id string) { actAgain(d, id) },
		"the same by another":   func(_, other *fixture, id string) { actAgain(other, id) },
		"run and retried by another": func(_, other *fixture, id string) {
			other.end(id, other.run(id), jobs.Failed, jobs.OutcomeFailed)
			_, err := other.act(VerbRetry, id)
			other.must(err)
		},
		"reset by another": func(_, other *fixture, id string) {
			other.clock.advance(time.Minute)
			_, err := other.act(VerbReset, id)
			other.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			other := &fixture{t: t, clock: d.clock, path: d.path, dsn: d.dsn}
			other.Ledger = d.open()
			defer other.Close()
			id := d.add(func(j *jobs.Job) {
				j.Labels, j.Expires = map[string]string{"a": "b"}, d.clock.now().Add(time.Hour)
			})
			change(d, other, id)
			d.clock.advance(time.Second)
			c, err := d.Claim(t.Context(), id, Owner{Instance: "i1", Node: "n1"}, "abc")
			d.must(err)
			if diff := cmp.Diff(Claim{OK: true, Record: d.record(id)}, c); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// actAgain cancels a job and retries it after it would have expired.
func actAgain(d *fixture, id string) {
	_, err := d.act(VerbCancel, id)
	d.must(err)
	d.clock.advance(2 * time.Hour)
	_, err = d.act(VerbRetry, id)
	d.must(err)
}

// TestSuccessOfAnyJob checks that a success is recorded the same whether the ledger knows the
// job from its claim or reads it.
func TestSuccessOfAnyJob(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(d, other *fixture, id string) (attempt int){
		"first attempt": func(d, _ *fixture, id string) int { return d.run(id) },
		"after a backoff": func(d, _ *fixture, id string) int {
			e := ending(jobs.Queued, jobs.OutcomeError)
			e.NotBefore = d.clock.now().Add(time.Minute)
			_, err := d.Finish(d.t.Context(), id, d.run(id), e)
			d.must(err)
			d.clock.advance(2 * time.Minute)
			return d.run(id)
		},
		"after inputs were missing": func(d, _ *fixture, id string) int {
			e := ending(jobs.Queued, jobs.OutcomeInput)
			e.Inputs = InputsAwaited
			_, err := d.Finish(d.t.Context(), id, d.run(id), e)
			d.must(err)
			return d.run(id)
		},
		"run by another since": func(d, other *fixture, id string) int {
			first := d.run(id)
			d.clock.advance(time.Minute)
			other.end(id, first, jobs.Queued, jobs.OutcomeLost)
			d.clock.advance(time.Minute)
			return other.run(id)
		},
		"lost": func(d, other *fixture, id string) int {
			first := d.run(id)
			other.end(id, first, jobs.Queued, jobs.OutcomeLost)
			return first
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			type end struct {
				Record   Record
				Attempts []Attempt
				Tallies  []activity.Tally
				Stale    bool
			}
			id := jobs.NewID()
			of := func(forget bool) (e end) {
				d := newFixture(t)
				other := &fixture{t: t, clock: d.clock, path: d.path, dsn: d.dsn}
				other.Ledger = d.open()
				defer other.Close()
				d.add(func(j *jobs.Job) { j.ID, j.Result.URL = id, "https://results.example/"+id })
				d.clock.advance(time.Second)
				attempt := run(d, other, id)
				if forget {
					d.must(d.do(t.Context(), &op{run: func(t *txn) error { t.claimed = recent.Jobs[claimedJob]{}; return nil }}))
				}
				d.clock.advance(time.Second)
				_, err := d.Finish(t.Context(), id, attempt, ending(jobs.Succeeded, jobs.OutcomeSucceeded))
				e.Stale = errors.Is(err, ErrStale)
				if !e.Stale {
					d.must(err)
				}
				e.Record = d.record(id)
				e.Attempts, err = d.Attempts(t.Context(), id)
				d.must(err)
				e.Tallies = d.activity(10*time.Minute, "").Programs
				d.recount()
				return e
			}
			if diff := cmp.Diff(of(true), of(false)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClaimRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(d *fixture) string
		want    jobs.State
		alive   bool
	}{
		"runs under a live instance": {func(d *fixture) string {
			id := d.add(nil)
			d.run(id)
			d.clock.advance(19 * time.Second)
			return id
		}, jobs.Running, true},
		"runs under a late instance": {func(d *fixture) string {
			id := d.add(nil)
			d.run(id)
			d.clock.advance(21 * time.Second)
			return id
		}, jobs.Running, false},
		"runs under one that has left": {func(d *fixture) string {
			id := d.add(nil)
			d.run(id)
			d.must(d.Nodes.Leave(d.t.Context(), "i1"))
			return id
		}, jobs.Running, false},
		"not due": {func(d *fixture) string {
			return d.add(func(j *jobs.Job) { j.NotBefore = d.clock.now().Add(time.Microsecond) })
		}, jobs.Queued, false},
		"waits": {func(d *fixture) string {
			return d.add(func(j *jobs.Job) { j.Needs = []string{jobs.NewID()} })
		}, jobs.Waiting, false},
		"expired": {func(d *fixture) string {
			return d.add(func(j *jobs.Job) { j.Expires = d.clock.now() })
		}, jobs.Failed, false},
		"final": {func(d *fixture) string {
			id := d.add(nil)
			d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
			return id
		}, jobs.Succeeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			id := c.prepare(d)
			got, err := d.Claim(t.Context(), id, Owner{Instance: "i2", Node: "n2"}, "")
			d.must(err)
			if got.OK || got.Alive != c.alive || got.Record.State != c.want || got.Record.ID != id {
				t.Errorf("%+v", got)
			}
			if diff := cmp.Diff(d.record(id), got.Record); diff != "" {
				t.Error(diff)
			}
			d.recount()
		})
	}
	d := newFixture(t)
	if _, err := d.Claim(t.Context(), jobs.NewID(), Owner{}, ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ending         Ending
		cancel         bool
		want           jobs.State
		spent, crashes int
		kind           string
	}{
		"succeeded":          {ending: ending(jobs.Succeeded, jobs.OutcomeSucceeded), want: jobs.Succeeded, kind: eventlog.KindSucceeded},
		"failed":             {ending: ending(jobs.Failed, jobs.OutcomeFailed), want: jobs.Failed, kind: eventlog.KindFailed},
		"last error":         {ending: ending(jobs.Failed, jobs.OutcomeError), want: jobs.Failed, spent: 1, kind: eventlog.KindFailed},
		"retry":              {ending: ending(jobs.Queued, jobs.OutcomeTimeout), want: jobs.Queued, spent: 1, kind: eventlog.KindRetrying},
		"interrupted":        {ending: ending(jobs.Queued, jobs.OutcomeInterrupted), want: jobs.Queued, kind: eventlog.KindInterrupted},
		"lost":               {ending: ending(jobs.Queued, jobs.OutcomeLost), want: jobs.Queued, crashes: 1, kind: eventlog.KindLost},
		"cancelled":          {ending: ending(jobs.Cancelled, jobs.OutcomeCancelled), cancel: true, want: jobs.Cancelled, kind: eventlog.KindCancelled},
		"cancelled instead":  {ending: ending(jobs.Queued, jobs.OutcomeError), cancel: true, want: jobs.Cancelled, spent: 1, kind: eventlog.KindCancelled},
		"succeeded at last":  {ending: ending(jobs.Succeeded, jobs.OutcomeSucceeded), cancel: true, want: jobs.Succeeded, kind: eventlog.KindSucceeded},
		"failed all the way": {ending: ending(jobs.Failed, jobs.OutcomeError), cancel: true, want: jobs.Failed, spent: 1, kind: eventlog.KindFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			id := d.add(nil)
			attempt := d.run(id)
			if c.cancel {
				_, err := d.act(VerbCancel, id)
				d.must(err)
			}
			d.clock.advance(time.Second)
			e := c.ending
			e.ExitCode, e.Signal, e.CPU, e.MaxRSS = 3, "killed", 5*time.Millisecond, 1<<20
			e.NotBefore, e.Reason = d.clock.now().Add(time.Minute), "waits for its next attempt"
			_, err := d.Finish(t.Context(), id, attempt, e)
			d.must(err)
			r := d.wantState(id, c.want)
			if r.Spent != c.spent || r.Crashes != c.crashes || r.Asked != "" || r.Attempt != 1 {
				t.Errorf("%+v", r)
			}
			checkEnd(t, d, &r, &e)
			if kinds := d.kinds(id); kinds[len(kinds)-1] != c.kind {
				t.Errorf("events %v, want %s at the end", kinds, c.kind)
			}
			d.recount()
		})
	}
}

// checkEnd compares the job and its attempt after Finish.
func checkEnd(t *testing.T, d *fixture, r *Record, e *Ending) {
	t.Helper()
	now := d.clock.now().UTC()
	if r.State.Final() {
		if !r.Finished.Equal(now) || !r.NotBefore.IsZero() || r.Reason != "" {
			t.Errorf("%+v", r)
		}
	} else if !r.Finished.IsZero() || !r.NotBefore.Equal(now.Add(time.Minute)) || r.Reason != e.Reason {
		t.Errorf("%+v", r)
	}
	list, err := d.Attempts(t.Context(), r.ID)
	d.must(err)
	want := []Attempt{{
		Job: r.ID, Number: 1, Node: "n1", Instance: "i1", ProgramSHA256: "sum", Started: now.Add(-time.Second), Finished: now,
		Outcome: e.Outcome, ExitCode: 3, Signal: "killed", CPU: 5 * time.Millisecond, MaxRSS: 1 << 20,
	}}
	if diff := cmp.Diff(want, list, cmpopts.IgnoreFields(Attempt{}, "Message")); diff != "" {
		t.Error(diff)
	}
	if list[0].Message == "" != (r.State == jobs.Succeeded) {
		t.Errorf("message %q of %s", list[0].Message, r.State)
	}
}

func TestFinishRefused(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	finish := func(attempt int) error {
		_, err := d.Finish(t.Context(), id, attempt, ending(jobs.Queued, jobs.OutcomeError))
		return err
	}
	if err := finish(0); !errors.Is(err, ErrStale) {
		t.Errorf("queued: %v", err)
	}
	d.run(id)
	d.must(finish(1))
	if err := finish(1); !errors.Is(err, ErrStale) {
		t.Errorf("a second time: %v", err)
	}
	if second := d.run(id); second != 2 {
		t.Errorf("attempt %d", second)
	}
	if err := finish(1); !errors.Is(err, ErrStale) || !strings.HasPrefix(err.Error(), "ledger: finish: ") {
		t.Errorf("older attempt: %v", err)
	}
	d.end(id, 2, jobs.Failed, jobs.OutcomeFailed)
	if err := finish(2); !errors.Is(err, ErrStale) {
		t.Errorf("final: %v", err)
	}
	if _, err := d.Finish(t.Context(), jobs.NewID(), 1, ending(jobs.Failed, jobs.OutcomeError)); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := d.Finish(t.Context(), id, 1, ending(jobs.Running, jobs.OutcomeError)); !errors.Is(err, errEnding) {
		t.Errorf("running: %v", err)
	}
	list, err := d.Attempts(t.Context(), id)
	d.must(err)
	if len(list) != 2 || list[0].Outcome != jobs.OutcomeError || list[1].Outcome != jobs.OutcomeFailed {
		t.Errorf("%+v", list)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	queued, running := d.add(nil), d.add(nil)
	d.run(running)
	waiting := d.add(func(j *jobs.Job) { j.Needs = []string{queued, running} })
	dependent := d.add(func(j *jobs.Job) { j.Needs = []string{waiting} })

	r, err := d.act(VerbCancel, waiting)
	d.must(err)
	if r.State != jobs.Cancelled || r.Error.Class != jobs.OutcomeCancelled || r.Error.Message != "cancelled by Ann" || r.Finished.IsZero() {
		t.Errorf("%+v", r)
	}
	d.wantState(dependent, jobs.Failed)
	if _, err := d.act(VerbCancel, queued); err != nil {
		t.Error(err)
	}
	d.wantState(queued, jobs.Cancelled)
	for range 2 {
		if r, err = d.act(VerbCancel, running); err != nil || r.State != jobs.Running || r.Asked != VerbCancel {
			t.Errorf("%+v, %v", r, err)
		}
	}
	list, err := d.Cancelling(t.Context(), []string{running, queued})
	if diff := cmp.Diff([]Stopping{{running, 1, VerbCancel}}, list); diff != "" || err != nil {
		t.Error(diff, err)
	}
	d.end(running, 1, jobs.Queued, jobs.OutcomeCancelled)
	if diff := cmp.Diff([]string{eventlog.KindAccepted, eventlog.KindCancelRequested, eventlog.KindCancelled}, d.kinds(running)); diff != "" {
		t.Error(diff)
	}
	if list, err := d.Cancelling(t.Context(), []string{running}); len(list) > 0 || err != nil {
		t.Error(list, err)
	}
	if r, err := d.act(VerbCancel, running); !errors.Is(err, ErrFinal) || r.State != jobs.Cancelled {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := d.act(VerbCancel, jobs.NewID()); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	d.recount()
}

// An ending without an error gets one, so that no job fails without a reason.
func TestFinishFillsInTheError(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, given := range []*jobs.Error{nil, {Message: "went wrong"}} {
		id := d.add(nil)
		_, err := d.Finish(t.Context(), id, d.run(id), Ending{State: jobs.Failed, Outcome: jobs.OutcomeKilled, Error: given})
		d.must(err)
		if r := d.record(id); r.Error == nil || r.Error.Class != jobs.OutcomeKilled || r.Error.Message == "" {
			t.Errorf("%+v", r.Error)
		}
	}
}
