package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// inState makes a job in a state.
func (d *fixture) inState(state jobs.State) string {
	d.t.Helper()
	need := d.add(nil)
	id := d.add(func(j *jobs.Job) {
		if state == jobs.Waiting {
			j.Needs = []string{need}
		}
	})
	switch state {
	case jobs.Running:
		d.run(id)
	case jobs.Succeeded:
		d.end(id, d.run(id), state, jobs.OutcomeSucceeded)
	case jobs.Failed:
		d.end(id, d.run(id), state, jobs.OutcomeError)
	case jobs.Cancelled:
		_, err := d.act(VerbCancel, id)
		d.must(err)
	}
	d.wantState(id, state)
	return id
}

func TestVerbsInEveryState(t *testing.T) {
	t.Parallel()
	type answer struct {
		State jobs.State
		Asked Verb
		Err   error
	}
	refused := func(state jobs.State, err error) answer { return answer{state, "", err} }
	for state, c := range map[jobs.State]map[Verb]answer{
		jobs.Queued: {
			VerbDelete: refused(jobs.Queued, ErrNotEnded),
			VerbCancel: {State: jobs.Cancelled}, VerbTerminate: {State: jobs.Cancelled}, VerbReset: {State: jobs.Queued},
			VerbStop: refused(jobs.Queued, ErrNotRunning), VerbCheckpoint: refused(jobs.Queued, ErrNotRunning), VerbRetry: refused(jobs.Queued, ErrNotEnded),
		},
		jobs.Waiting: {
			VerbDelete: refused(jobs.Waiting, ErrNotEnded),
			VerbCancel: {State: jobs.Cancelled}, VerbTerminate: {State: jobs.Cancelled}, VerbReset: {State: jobs.Waiting},
			VerbStop: refused(jobs.Waiting, ErrNotRunning), VerbCheckpoint: refused(jobs.Waiting, ErrNotRunning), VerbRetry: refused(jobs.Waiting, ErrNotEnded),
		},
		jobs.Running: {
			VerbDelete: refused(jobs.Running, ErrNotEnded),
			VerbCancel: {jobs.Running, VerbCancel, nil}, VerbStop: {jobs.Running, VerbCancel, nil},
			VerbTerminate: {jobs.Running, VerbTerminate, nil}, VerbReset: {jobs.Running, VerbReset, nil},
			VerbRetry: refused(jobs.Running, ErrNotEnded), VerbCheckpoint: refused(jobs.Running, checkpoints.ErrUnable),
		},
		jobs.Succeeded: {
			VerbDelete: {State: jobs.Succeeded},
			VerbCancel: refused(jobs.Succeeded, ErrFinal), VerbStop: refused(jobs.Succeeded, ErrFinal), VerbCheckpoint: refused(jobs.Succeeded, ErrFinal),
			VerbTerminate: refused(jobs.Succeeded, ErrFinal), VerbRetry: refused(jobs.Succeeded, ErrFinal), VerbReset: refused(jobs.Succeeded, ErrFinal),
		},
		jobs.Failed: {
			VerbDelete: {State: jobs.Failed},
			VerbCancel: refused(jobs.Failed, ErrFinal), VerbStop: refused(jobs.Failed, ErrFinal), VerbCheckpoint: refused(jobs.Failed, ErrFinal),
			VerbTerminate: refused(jobs.Failed, ErrFinal), VerbRetry: {State: jobs.Queued}, VerbReset: {State: jobs.Queued},
		},
		jobs.Cancelled: {
			VerbDelete: {State: jobs.Cancelled},
			VerbCancel: refused(jobs.Cancelled, ErrFinal), VerbStop: refused(jobs.Cancelled, ErrFinal), VerbCheckpoint: refused(jobs.Cancelled, ErrFinal),
			VerbTerminate: refused(jobs.Cancelled, ErrFinal), VerbRetry: {State: jobs.Queued}, VerbReset: {State: jobs.Queued},
		},
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			for _, verb := range Verbs {
				r, err := d.act(verb, d.inState(state))
				want := c[verb]
				if r.State != want.State || r.Asked != want.Asked || !errors.Is(err, want.Err) {
					t.Errorf("%s: %s, asked %q, %v; want %+v", verb, r.State, r.Asked, err, want)
				}
			}
			d.recount()
		})
	}
}

func TestRetryKeepsTheHistoryAndClearsTheBudgets(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(func(j *jobs.Job) { j.Expires = d.clock.now().Add(time.Hour) })
	e := ending(jobs.Queued, jobs.OutcomeError)
	e.NotBefore = d.clock.now()
	_, err := d.Finish(t.Context(), id, d.run(id), e)
	d.must(err)
	d.end(id, d.run(id), jobs.Failed, jobs.OutcomeError)
	d.clock.advance(2 * time.Hour) // past its expiry
	r, err := d.act(VerbRetry, id)
	d.must(err)
	if r.State != jobs.Queued || r.Spent != 0 || r.Attempt != 2 || !r.Expires.IsZero() || !r.Finished.IsZero() || r.Error != nil {
		t.Errorf("%+v", r)
	}
	if attempt := d.run(id); attempt != 3 {
		t.Errorf("attempt %d, want 3", attempt)
	}
	d.clock.advance(time.Second)
	d.end(id, 3, jobs.Succeeded, jobs.OutcomeSucceeded)
	attempts, err := d.Attempts(t.Context(), id)
	d.must(err)
	var outcomes []jobs.Outcome
	for _, a := range attempts {
		outcomes = append(outcomes, a.Outcome)
	}
	if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeError, jobs.OutcomeError, jobs.OutcomeSucceeded}, outcomes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{eventlog.KindAccepted, eventlog.KindRetrying, eventlog.KindFailed, eventlog.KindRetried, eventlog.KindSucceeded}, d.kinds(id)); diff != "" {
		t.Error(diff)
	}
	d.recount()
}

// An attempt from before a retry can end nothing.
func TestRetryFencesOlderAttempts(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	d.run(id)
	d.clock.advance(21 * time.Second)
	_, err := d.Recover(t.Context(), 0)
	d.must(err)
	_, err = d.act(VerbCancel, id)
	d.must(err)
	_, err = d.act(VerbRetry, id)
	d.must(err)
	d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
	d.run(id)
	if _, err := d.Finish(t.Context(), id, 1, ending(jobs.Succeeded, jobs.OutcomeSucceeded)); !errors.Is(err, ErrStale) {
		t.Errorf("finish of attempt 1: %v", err)
	}
	if err := d.Holds(t.Context(), id, 1); !errors.Is(err, ErrStale) {
		t.Errorf("attempt 1 holds the job: %v", err)
	}
	if err := d.Holds(t.Context(), id, 2); err != nil {
		t.Errorf("attempt 2 does not hold the job: %v", err)
	}
	if err := d.Holds(t.Context(), jobs.NewID(), 1); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown job is held: %v", err)
	}
}

func TestRetryLooksAtTheNeedsAgain(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	need := d.add(nil)
	id := d.add(func(j *jobs.Job) { j.Needs = []string{need} })
	d.end(need, d.run(need), jobs.Failed, jobs.OutcomeError)
	d.wantState(id, jobs.Failed)
	if _, err := d.act(VerbRetry, id); !errors.Is(err, ErrNeeds) {
		t.Errorf("retried although what it needs has failed: %v", err)
	}
	_, err := d.act(VerbRetry, need)
	d.must(err)
	r, err := d.act(VerbRetry, id)
	d.must(err)
	if r.State != jobs.Waiting || r.Reason == "" {
		t.Errorf("%+v", r)
	}
	if released := d.end(need, d.run(need), jobs.Succeeded, jobs.OutcomeSucceeded); len(released) != 1 || released[0].ID != id {
		t.Errorf("released %+v", released)
	}
	d.wantState(id, jobs.Queued)
	d.recount()
}

func TestRetryOfAFaultyDocument(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(nil)
	e.Fault = &jobs.Error{Class: jobs.ClassDocument, Message: "no such program", Pointer: "/program"}
	whole := e.Job
	e.Job = jobs.Job{ID: whole.ID}
	d.put(e)
	if _, err := d.act(VerbRetry, whole.ID); !errors.Is(err, ErrDocument) {
		t.Errorf("retried with its fault: %v", err)
	}
	priority := uint32(7)
	whole.Priority, whole.Labels = &priority, map[string]string{"meter": "42"}
	list, err := d.Act(t.Context(), VerbRetry, "Ann", []Target{{ID: whole.ID, Job: &whole}})
	d.must(err)
	if r := list[0].Record; list[0].Err != nil || r.State != jobs.Queued || r.Program != "p" || r.Priority != 7 || r.Labels["meter"] != "42" {
		t.Errorf("%+v", list[0])
	}
	page, err := d.List(t.Context(), listing.Filter{Label: "meter=42"})
	d.must(err)
	if len(page.Jobs) != 1 {
		t.Errorf("%d jobs have its label", len(page.Jobs))
	}
	d.recount()
}

func TestResetCostsNothing(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	e := ending(jobs.Queued, jobs.OutcomeError)
	e.NotBefore = d.clock.now().Add(time.Hour)
	_, err := d.Finish(t.Context(), id, d.run(id), e)
	d.must(err)
	r, err := d.act(VerbReset, id) // out of its backoff
	d.must(err)
	if r.Spent != 0 || !r.NotBefore.IsZero() || r.Reason != "" {
		t.Errorf("%+v", r)
	}
	attempt := d.run(id)
	_, err = d.act(VerbReset, id) // while it runs
	d.must(err)
	d.end(id, attempt, jobs.Failed, jobs.OutcomeError)
	if r := d.wantState(id, jobs.Queued); r.Spent != 0 || r.Asked != "" {
		t.Errorf("%+v", r)
	}
	d.recount()
}

func TestTerminateIsNotTakenBack(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	d.run(id)
	for _, c := range []struct{ verb, want Verb }{
		{VerbCancel, VerbCancel}, {VerbTerminate, VerbTerminate}, {VerbStop, VerbTerminate}, {VerbReset, VerbReset}, {VerbCancel, VerbCancel},
	} {
		if r, err := d.act(c.verb, id); err != nil || r.Asked != c.want {
			t.Errorf("%s: %q is asked, want %q (%v)", c.verb, r.Asked, c.want, err)
		}
	}
	list, err := d.Cancelling(t.Context(), []string{id})
	d.must(err)
	if diff := cmp.Diff([]Stopping{{id, 1, VerbCancel}}, list); diff != "" {
		t.Error(diff)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.must(d.Nodes.Drain(t.Context(), "n1", "Ann", "new disk"))
	since := d.clock.now().UTC()
	d.clock.advance(time.Minute)
	d.must(d.Nodes.Drain(t.Context(), "", "Ben", "moving"))
	d.must(d.Nodes.Drain(t.Context(), "n1", "Cem", "two new disks"))
	want := []nodes.Drain{{Node: "", Since: since.Add(time.Minute), By: "Ben", Reason: "moving"}, {Node: "n1", Since: since, By: "Cem", Reason: "two new disks"}}
	got, err := d.Nodes.Drains(t.Context())
	d.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	d.must(d.Nodes.Undrain(t.Context(), "n1", "Ann"))
	d.must(d.Nodes.Undrain(t.Context(), "n1", "Ann"))
	if got, err = d.Nodes.Drains(t.Context()); err != nil || len(got) != 1 {
		t.Error(got, err)
	}
	events, err := d.Events.Newest(t.Context(), "", 0)
	d.must(err)
	kinds := map[string]int{}
	for _, e := range events {
		kinds[e.Kind]++
	}
	if diff := cmp.Diff(map[string]int{eventlog.KindDrained: 3, eventlog.KindUndrained: 1}, kinds); diff != "" {
		t.Error(diff)
	}
}

// What a person has set for tonight starts tonight, whatever is asked before: a retry and a
// reset end a backoff, and keep the time and the expiry of the document.
func TestRetryAndResetKeepTheTimesOfTheDocument(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	tonight := d.clock.now().Add(8 * time.Hour).UTC()
	scheduled := func() string {
		return d.add(func(j *jobs.Job) { j.NotBefore, j.Expires = tonight, tonight.Add(time.Hour) })
	}
	wantTonight := func(what, id string) {
		t.Helper()
		r := d.wantState(id, jobs.Queued)
		if !r.NotBefore.Equal(tonight) || !r.StartAfter.Equal(tonight) || !r.Due.Equal(tonight) || !r.Expires.Equal(tonight.Add(time.Hour)) {
			t.Errorf("%s: %+v", what, r)
		}
		if c, err := d.Claim(t.Context(), id, Owner{Instance: "i1", Node: "n1"}, ""); err != nil || c.OK {
			t.Errorf("%s: it starts before its time: %+v, %v", what, c, err)
		}
	}
	reset := scheduled()
	_, err := d.act(VerbReset, reset)
	d.must(err)
	wantTonight("reset of a scheduled job", reset)
	for _, verb := range []Verb{VerbRetry, VerbReset} {
		id := scheduled()
		_, err = d.act(VerbCancel, id)
		d.must(err)
		_, err = d.act(verb, id)
		d.must(err)
		wantTonight(string(verb)+" of a cancelled job", id)
	}
	need := d.add(nil)
	id := d.add(func(j *jobs.Job) { j.NotBefore, j.Needs = tonight, []string{need} })
	d.end(need, d.run(need), jobs.Failed, jobs.OutcomeError)
	for _, id := range []string{need, id} {
		_, err = d.act(VerbRetry, id)
		d.must(err)
	}
	if list := d.end(need, d.run(need), jobs.Succeeded, jobs.OutcomeSucceeded); len(list) != 1 || !list[0].NotBefore.Equal(tonight) {
		t.Errorf("released %+v", list)
	}
	events, err := d.Events.Newest(t.Context(), reset, 1)
	d.must(err)
	if want := "starts not before " + tonight.Format(time.RFC3339); !strings.Contains(events[0].Message, want) {
		t.Errorf("event %q, want %q in it", events[0].Message, want)
	}
	d.recount()
}

// A backoff moves the next start only, and goes with a reset. A wrong clock may have started
// the job before its time: the next attempt waits for it again.
func TestBackoffAndTheTimeOfTheDocumentAreApart(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	start := d.clock.now().Add(time.Minute).UTC()
	id := d.add(func(j *jobs.Job) { j.NotBefore = start })
	d.clock.advance(time.Hour)
	again := ending(jobs.Queued, jobs.OutcomeError)
	again.NotBefore = d.clock.now().Add(5 * time.Minute).UTC()
	_, err := d.Finish(t.Context(), id, d.run(id), again)
	d.must(err)
	if r := d.record(id); !r.NotBefore.Equal(again.NotBefore) || !r.StartAfter.Equal(start) {
		t.Errorf("after a backoff: %+v", r)
	}
	r, err := d.act(VerbReset, id)
	d.must(err)
	if !r.NotBefore.Equal(start) || r.Wait(d.clock.now()) > 0 {
		t.Errorf("after a reset: %+v", r)
	}
	attempt := d.run(id)
	d.clock.advance(-2 * time.Hour) // the clock was wrong
	d.end(id, attempt, jobs.Queued, jobs.OutcomeInterrupted)
	if r := d.record(id); !r.NotBefore.Equal(start) || r.Wait(d.clock.now()) != start.Sub(d.clock.now()) {
		t.Errorf("it may start %s before its time: %+v", start.Sub(d.clock.now()), r)
	}
}

// A job whose document was repaired has its times, too.
func TestRetryOfARepairedDocumentSetsItsTimes(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(nil)
	whole := e.Job
	e.Fault, e.Job = &jobs.Error{Class: jobs.ClassDocument, Message: "no such program"}, jobs.Job{ID: whole.ID}
	d.put(e)
	whole.NotBefore, whole.Expires = d.clock.now().Add(time.Hour).UTC(), d.clock.now().Add(2*time.Hour).UTC()
	list, err := d.Act(t.Context(), VerbRetry, "Ann", []Target{{ID: whole.ID, Job: &whole}})
	d.must(err)
	if r := list[0].Record; !r.NotBefore.Equal(whole.NotBefore) || !r.StartAfter.Equal(whole.NotBefore) || !r.Expires.Equal(whole.Expires) || !r.Due.Equal(whole.NotBefore) {
		t.Errorf("%+v", r)
	}
}

// A person who retries an expired job wants it to run.
func TestRetryDropsAnExpiryThatHasPassed(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(func(j *jobs.Job) { j.Expires = d.clock.now().Add(time.Minute) })
	d.clock.advance(time.Hour)
	_, err := d.Expire(t.Context(), 0)
	d.must(err)
	d.wantState(id, jobs.Failed)
	r, err := d.act(VerbRetry, id)
	d.must(err)
	if !r.Expires.IsZero() {
		t.Errorf("it expires at %s again", r.Expires)
	}
	events, err := d.Events.Newest(t.Context(), id, 1)
	d.must(err)
	if !strings.Contains(events[0].Message, "has passed") {
		t.Errorf("event %q does not say that the expiry is dropped", events[0].Message)
	}
	d.run(id)
}
