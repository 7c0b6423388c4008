package ledger

import (
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestInputsAwaited checks the count of consecutive attempts without inputs.
func TestInputsAwaited(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	var first time.Time
	finish := func(e Ending) {
		t.Helper()
		d.clock.advance(time.Minute)
		_, err := d.Finish(t.Context(), id, d.run(id), e)
		d.must(err)
	}
	want := func(tries int) {
		t.Helper()
		r := d.record(id)
		if r.FetchTries != tries || r.FetchSince.IsZero() != (tries == 0) || tries > 0 && !r.FetchSince.Equal(first) {
			t.Errorf("%d attempts since %s, want %d since %s", r.FetchTries, r.FetchSince, tries, first)
		}
	}
	awaited := Ending{Outcome: jobs.OutcomeInput, State: jobs.Queued, Reason: "busy", ExitCode: -1, Inputs: InputsAwaited}
	finish(awaited)
	first = d.record(id).Updated
	want(1)
	finish(awaited)
	want(2)
	finish(Ending{Outcome: jobs.OutcomeInterrupted, State: jobs.Queued, ExitCode: -1})
	want(2)
	finish(Ending{Outcome: jobs.OutcomeError, State: jobs.Queued, ExitCode: 1, Inputs: InputsHad})
	want(0)
	finish(awaited)
	first = d.record(id).Updated
	want(1)
	_, err := d.act(VerbReset, id)
	d.must(err)
	want(0)
	awaited.State = jobs.Failed
	finish(awaited)
	_, err = d.act(VerbRetry, id)
	d.must(err)
	want(0)
}

// TestInputWait checks that the wait for inputs may exceed MaxBackoff.
func TestInputWait(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := Record{Attempt: 1, NotBefore: now.Add(time.Hour)}
	if got := r.Wait(now); got != 0 {
		t.Errorf("a backoff of an hour holds: %s", got)
	}
	r.FetchTries = 1
	if got := r.Wait(now); got != time.Hour {
		t.Errorf("waits %s for its inputs, want an hour", got)
	}
	r.NotBefore = now.Add(MaxInputWait + 1)
	if got := r.Wait(now); got != 0 {
		t.Errorf("waits %s", got)
	}
}
