package worker

import (
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

const (
	maxLogTail = 4 << 10 // in an error, in bytes
	// maxLedgerWait bounds the wait for a ledger or a disk that fails.
	maxLedgerWait = 30 * time.Second
	// mostSaves is the number of the attempt from which on it counts as an error that a program
	// saves and asks to be run again: it would otherwise go on without end.
	mostSaves = 1000
	// maxTroubleWait bounds the wait between two tries of a node that is in trouble.
	maxTroubleWait = time.Minute
)

// policy decides what follows the end of an attempt.
type policy struct {
	backoff  retry.Backoff
	node     string
	attempts int // that may end in error
	now      time.Time
	// inputs is the wait for inputs that cannot be fetched yet. It ends after patience.
	inputs   retry.Backoff
	patience time.Duration
}

// ending returns what the ledger records of an attempt of the job rec. f is nil for a
// success.
func (p policy) ending(rec *ledger.Record, f *fault.Fault, logTail string) ledger.Ending {
	if f == nil {
		return ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, ExitCode: -1}
	}
	if f.Saved && rec.Attempt >= mostSaves {
		f = &fault.Fault{Outcome: jobs.OutcomeError, Message: fmt.Sprintf(
			"it has saved a checkpoint and asked to be run again (exit code 85) in attempt %d: from attempt %d on that counts as an error, since the job may never end", rec.Attempt, mostSaves)}
	}
	e := ledger.Ending{Outcome: f.Outcome, State: jobs.Failed, ExitCode: -1, Error: f.JobError()}
	e.Error.LogTail = logtext.Clean(logTail, maxLogTail)
	switch {
	case f.Outcome == jobs.OutcomeCancelled:
		e.State = jobs.Cancelled
	case f.Node, f.Program:
		p.again(&e, p.backoff.Wait(max(1, rec.Attempt-rec.Spent-rec.Crashes)), "node "+p.node+": "+f.Message)
	case f.Awaits != nil:
		p.awaitInputs(&e, rec, f)
	case f.Outcome == jobs.OutcomeInterrupted:
		wait := time.Duration(0)
		if f.Saved {
			wait = p.backoff.Wait(1) // bounds the starts of a program that saves and ends at once
		}
		p.again(&e, wait, f.Message)
		e.Shutdown = f.Shutdown
	case !f.Final && ledger.Spends(f.Outcome) && rec.Spent+1 < p.attempts:
		p.again(&e, p.backoff.Wait(rec.Spent+1),
			fmt.Sprintf("%d of %d attempts spent; the last one: %s", rec.Spent+1, p.attempts, f.Message))
	}
	return e
}

// again queues the job again.
func (p policy) again(e *ledger.Ending, wait time.Duration, reason string) {
	e.State, e.Reason = jobs.Queued, logtext.Clean(reason, fault.MaxMessage)
	if wait > 0 {
		e.NotBefore = p.now.Add(wait).UTC()
	}
}

const (
	// inputPatience is how long a job waits for inputs before it fails.
	inputPatience = 6 * time.Hour
	// leastInputTries and mostInputTries bound the attempts that this takes, whatever
	// clocks say.
	leastInputTries = 3
	mostInputTries  = 100
)

// awaitInputs makes a job wait in the queue for inputs that cannot be fetched yet, or
// fails it once it has waited for too long.
func (p policy) awaitInputs(e *ledger.Ending, rec *ledger.Record, f *fault.Fault) {
	e.Inputs = ledger.InputsAwaited
	tries, since := rec.FetchTries+1, rec.FetchSince
	if rec.FetchTries == 0 {
		since = p.now
	}
	waited := p.now.Sub(since)
	if tries >= mostInputTries || tries >= leastInputTries && waited >= p.patience {
		e.Error.Message = logtext.Clean(fmt.Sprintf("%s; given up after %d attempts since %s", f.Message, tries, since.UTC().Format(time.RFC3339)), fault.MaxMessage)
		return
	}
	wait := p.inputs.Wait(tries)
	if after := f.Awaits.After; after > 0 {
		// The server may have asked many jobs to wait. They must not come back at once.
		wait = max(wait, after+time.Duration(p.inputs.Jitter()*float64(min(after/4, 5*time.Minute))))
	}
	reason := f.Message
	if f.Awaits.After > 0 {
		reason = fmt.Sprintf("%s asks to wait %s: %s", f.Awaits.Host, waitText(f.Awaits.After), f.Message)
	}
	if tries > 1 {
		reason += fmt.Sprintf("; attempt %d since %s", tries, since.UTC().Format(time.RFC3339))
	}
	p.again(e, wait, reason)
}

// waitText returns a wait as people write it: "60 s", "10 min", "2 h 30 min".
func waitText(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d <= 2*time.Minute || d < time.Hour && d%time.Minute != 0:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	d = d.Round(time.Minute)
	return strings.TrimSuffix(fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute), " 0 min")
}
