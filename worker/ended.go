package worker

import (
	"cmp"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/report"
)

// tell says that an attempt has ended and its end is in the ledger.
func (a *attempt) tell(e *ledger.Ending) {
	if a.cfg.OnEnded == nil {
		return
	}
	end := time.Now()
	told := report.Attempt{
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
