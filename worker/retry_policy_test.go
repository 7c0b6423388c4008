package worker

import (
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	cases := []struct {
		name   string
		record ledger.Record
		fault  *fault.Fault
		state  jobs.State
		wait   time.Duration
		reason string
	}{
		{"succeeded", ledger.Record{Attempt: 1}, nil, jobs.Succeeded, 0, ""},
		{"first error", ledger.Record{Attempt: 1}, &fault.Fault{Outcome: jobs.OutcomeError, Message: "m"}, jobs.Queued, time.Second, "1 of 3 attempts spent; the last one: m"},
		{"second error", ledger.Record{Attempt: 2, Spent: 1}, &fault.Fault{Outcome: jobs.OutcomeTimeout, Message: "m"}, jobs.Queued, 2 * time.Second, "2 of 3 attempts spent; the last one: m"},
		{"last error", ledger.Record{Attempt: 3, Spent: 2}, &fault.Fault{Outcome: jobs.OutcomeKilled}, jobs.Failed, 0, ""},
		{"failed", ledger.Record{Attempt: 1}, &fault.Fault{Outcome: jobs.OutcomeFailed}, jobs.Failed, 0, ""},
		{"input", ledger.Record{Attempt: 1}, &fault.Fault{Outcome: jobs.OutcomeInput}, jobs.Failed, 0, ""},
		{"cancelled", ledger.Record{Attempt: 1}, &fault.Fault{Outcome: jobs.OutcomeCancelled}, jobs.Cancelled, 0, ""},
		{"interrupted", ledger.Record{Attempt: 9, Spent: 2}, &fault.Fault{Outcome: jobs.OutcomeInterrupted, Message: "m"}, jobs.Queued, 0, "m"},
		{"saved", ledger.Record{Attempt: mostSaves - 1, Spent: 2}, &fault.Fault{Outcome: jobs.OutcomeInterrupted, Saved: true, Message: "m"}, jobs.Queued, time.Second, "m"},
		{"saved too often", ledger.Record{Attempt: mostSaves, Spent: 2}, &fault.Fault{Outcome: jobs.OutcomeInterrupted, Saved: true, Message: "m"}, jobs.Failed, 0, ""},
		{"node", ledger.Record{Attempt: 3, Spent: 1}, fault.OfNode("disk", strictjson.ErrEmpty), jobs.Queued, 2 * time.Second, "node n: disk: empty"},
		{"node again and again", ledger.Record{Attempt: 99}, fault.OfNode("disk", strictjson.ErrEmpty), jobs.Queued, time.Minute, "node n: disk: empty"},
	}
	p := policy{backoff: retry.Backoff{Base: time.Second, Max: time.Minute, Jitter: func() float64 { return 1 }}, node: "n", attempts: 3, now: now}
	for _, c := range cases {
		e := p.ending(&c.record, c.fault, "tail")
		if e.State != c.state || e.Reason != c.reason {
			t.Errorf("%s: %s %q, want %s %q", c.name, e.State, e.Reason, c.state, c.reason)
		}
		if got := e.NotBefore; c.wait == 0 && !got.IsZero() || c.wait > 0 && got != now.Add(c.wait) {
			t.Errorf("%s: not before %s", c.name, got)
		}
		if (e.Error == nil) != (c.fault == nil) {
			t.Errorf("%s: error is %+v", c.name, e.Error)
		}
	}
}

// TestEveryOutcome checks which outcomes spend an attempt, with three attempts of which
// none or two are spent.
func TestEveryOutcome(t *testing.T) {
	t.Parallel()
	type after struct {
		state  jobs.State
		spends bool
	}
	// The ledger records lost attempts, which have a limit of their own.
	if ledger.Spends(jobs.OutcomeLost) || ledger.Spends(jobs.OutcomeSucceeded) {
		t.Error("an attempt that was lost, or succeeded, spends one")
	}
	for outcome, want := range map[jobs.Outcome]struct{ early, last after }{
		jobs.OutcomeFailed:      {after{jobs.Failed, false}, after{jobs.Failed, false}},
		jobs.OutcomeInput:       {after{jobs.Failed, false}, after{jobs.Failed, false}},
		jobs.OutcomeError:       {after{jobs.Queued, true}, after{jobs.Failed, true}},
		jobs.OutcomeTimeout:     {after{jobs.Queued, true}, after{jobs.Failed, true}},
		jobs.OutcomeStalled:     {after{jobs.Queued, true}, after{jobs.Failed, true}},
		jobs.OutcomeKilled:      {after{jobs.Queued, true}, after{jobs.Failed, true}},
		jobs.OutcomeInterrupted: {after{jobs.Queued, false}, after{jobs.Queued, false}},
		jobs.OutcomeCancelled:   {after{jobs.Cancelled, false}, after{jobs.Cancelled, false}},
	} {
		p := policy{backoff: retry.Backoff{Base: time.Second, Max: time.Minute, Jitter: func() float64 { return 0 }}, node: "n", attempts: 3, now: time.Now()}
		for spent, want := range map[int]after{0: want.early, 2: want.last} {
			e := p.ending(&ledger.Record{Attempt: 7, Spent: spent, Crashes: 4}, &fault.Fault{Outcome: outcome, Message: "m"}, "")
			if got := (after{e.State, ledger.Spends(e.Outcome)}); got != want {
				t.Errorf("%s with %d spent: %+v, want %+v", outcome, spent, got, want)
			}
			if waits := !e.NotBefore.IsZero(); waits != (e.State == jobs.Queued && want.spends) || waits && e.Reason == "" {
				t.Errorf("%s with %d spent: not before %s, because %q", outcome, spent, e.NotBefore, e.Reason)
			}
		}
	}
}
