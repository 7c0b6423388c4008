package ledger

import (
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestEndTextSaysEachThingOnce(t *testing.T) {
	at := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	for _, test := range []struct {
		e    Ending
		want string
	}{
		{Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded}, "attempt 2: succeeded"},
		{Ending{Outcome: jobs.OutcomeError, State: jobs.Failed, Error: &jobs.Error{Message: "exit code 1"}}, "attempt 2: error: exit code 1"},
		{Ending{
			Outcome: jobs.OutcomeInterrupted, State: jobs.Queued, Reason: "interrupted: node a was shut down",
			Error: &jobs.Error{Message: "interrupted: node a was shut down"},
		}, "attempt 2: interrupted: node a was shut down"},
		{Ending{
			Outcome: jobs.OutcomeTimeout, State: jobs.Queued, Reason: "1 of 3 attempts spent; the last one: over 1h", NotBefore: at,
			Error: &jobs.Error{Message: "over 1h"},
		}, "attempt 2: timeout: 1 of 3 attempts spent; the last one: over 1h; not before 2026-11-22T06:16:00Z"},
		{Ending{Outcome: jobs.OutcomeLost, State: jobs.Queued, Reason: "its node died", Error: &jobs.Error{Message: "m"}}, "attempt 2: lost: m; its node died"},
	} {
		if got := endText(&test.e, 2); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
