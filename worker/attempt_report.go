package worker

import (
	"cmp"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/report"
)

// attemptReport returns the report on an attempt that has ended.
func attemptReport(a *attempt, e *ledger.Ending) report.Attempt {
	end := time.Now()
	r := report.Attempt{
		Job: a.record.ID, Program: a.record.Program, Attempt: a.record.Attempt, Outcome: e.Outcome, State: e.State,
		Queued: queuedSince(a), Start: a.start, End: end, CPU: e.CPU, MaxRSS: e.MaxRSS, Traceparent: a.job.Traceparent, SpanID: a.run.span.id,
	}
	if a.run.began.IsZero() {
		r.Fetch = end.Sub(a.start)
	} else {
		r.Fetch, r.Run, r.Publish = a.run.began.Sub(a.start), a.run.ended.Sub(a.run.began), end.Sub(a.run.ended)
	}
	return r
}

// queuedSince returns since when the job could have been run.
func queuedSince(a *attempt) time.Time {
	due := cmp.Or(a.record.Due, a.record.Accepted)
	if due.After(a.start) { // by another node's clock
		return a.start
	}
	return due
}
