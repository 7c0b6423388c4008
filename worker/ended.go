package worker

import (
	"cmp"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// Ended is one attempt that has come to its end on this node, as
// Config.OnEnded is told of it.
type Ended struct {
	Job, Program string
	Attempt      int
	Outcome      jobs.Outcome
	// State is what the job is in now: a final state, or queued for another
	// attempt.
	State jobs.State
	// Queued is since when the job could have been run, Start and End are those of
	// the attempt.
	Queued, Start, End time.Time
	// Fetch, Run and Publish are how long the steps took, one after the other;
	// 0 for one that was not come to.
	Fetch, Run, Publish time.Duration
	// CPU is user and system time together, MaxRSS the most memory in bytes.
	CPU    time.Duration
	MaxRSS int64
	// Traceparent is the document's; SpanID, 16 hexadecimal digits, is that of
	// the run, which the program was told of. It is empty where there is no good
	// Traceparent or no program was run.
	Traceparent, SpanID string
}

// tell says that an attempt has ended and its end is in the ledger.
func (a *attempt) tell(e *ledger.Ending) {
	if a.cfg.OnEnded == nil {
		return
	}
	end := time.Now()
	told := Ended{
		Job: a.record.ID, Program: a.record.Program, Attempt: a.record.Attempt, Outcome: e.Outcome, State: e.State,
		Queued: a.queued(), Start: a.start, End: end, CPU: e.CPU, MaxRSS: e.MaxRSS, Traceparent: a.job.Traceparent, SpanID: a.span.id,
	}
	switch {
	case a.began.IsZero():
		told.Fetch = end.Sub(a.start)
	default:
		told.Fetch, told.Run, told.Publish = a.began.Sub(a.start), a.ran.Sub(a.began), end.Sub(a.ran)
	}
	a.cfg.OnEnded(told)
}

// queued is since when the job could have been run.
func (a *attempt) queued() time.Time {
	due := cmp.Or(a.record.Due, a.record.Accepted)
	if due.After(a.start) { // by another node's clock
		return a.start
	}
	return due
}
