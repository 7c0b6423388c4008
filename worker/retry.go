package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	maxMessage = 1 << 10 // of an error, in bytes
	maxLogTail = 4 << 10 // in an error, in bytes
	// maxRendered is how much of a log is rendered for maxLogTail: a progress that
	// is written over again and again takes much of it.
	maxRendered = 64 << 10
)

// backoff is a wait that doubles with each try, with jitter so that many who
// failed together do not come back together.
type backoff struct {
	base, most time.Duration
	jitter     func() float64
}

// wait is how long to wait after the nth failure, from 1: between half and all
// of what doubling gives.
func (b backoff) wait(n int) time.Duration {
	d := b.base
	for ; n > 1 && d < b.most; n-- {
		d *= 2
	}
	d = min(d, b.most)
	return d/2 + time.Duration(b.jitter()*float64(d/2))
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// fault is how an attempt ends that does not succeed.
type fault struct {
	outcome          jobs.Outcome
	message, pointer string
	// node is set where the node is at fault: the job is not charged for it.
	node bool
	// program is set where the installation of the job's program changes under
	// it: the job is not charged for that either, and other programs go on.
	program bool
	// awaits is set where the inputs cannot be had yet: the job waits for them and
	// is not charged for that.
	awaits *passing
	// final is set where another attempt would end in the same way.
	final bool
}

func (f *fault) Error() string { return f.message }

func nodeFault(what string, err error) *fault {
	return &fault{outcome: jobs.OutcomeInterrupted, message: fmt.Sprintf("%s: %s", what, err), node: true}
}

// policy says what follows the end of an attempt.
type policy struct {
	backoff  backoff
	node     string
	attempts int // that may end in error
	now      time.Time
	// inputs is the wait for inputs that cannot be had yet, which ends after
	// patience.
	inputs   backoff
	patience time.Duration
}

// ending decides for an attempt of the job rec, whose fault is nil if it
// succeeded.
func (p policy) ending(rec *ledger.Record, f *fault, logTail string) ledger.Ending {
	if f == nil {
		return ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, ExitCode: -1}
	}
	e := ledger.Ending{Outcome: f.outcome, State: jobs.Failed, ExitCode: -1, Error: &jobs.Error{
		Class: f.outcome, Message: clean(f.message, maxMessage),
		Pointer: clean(f.pointer, maxMessage), LogTail: clean(logTail, maxLogTail),
	}}
	switch {
	case f.outcome == jobs.OutcomeCancelled:
		e.State = jobs.Cancelled
	case f.node, f.program:
		p.again(&e, p.backoff.wait(max(1, rec.Attempt-rec.Spent-rec.Crashes)), "node "+p.node+": "+f.message)
	case f.awaits != nil:
		p.awaitInputs(&e, rec, f)
	case f.outcome == jobs.OutcomeInterrupted:
		p.again(&e, 0, f.message)
	case !f.final && f.outcome.Spends() && rec.Spent+1 < p.attempts:
		p.again(&e, p.backoff.wait(rec.Spent+1),
			fmt.Sprintf("%d of %d attempts spent; the last one: %s", rec.Spent+1, p.attempts, f.message))
	}
	return e
}

func (p policy) again(e *ledger.Ending, wait time.Duration, reason string) {
	e.State, e.Reason = jobs.Queued, clean(reason, maxMessage)
	if wait > 0 {
		e.NotBefore = p.now.Add(wait).UTC()
	}
}
