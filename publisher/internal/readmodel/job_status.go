package readmodel

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// Summary is what a record says by itself, as a listing shows it.
func Summary(rec ledger.Record, now time.Time) jobs.Result {
	r := jobs.Result{
		ID: rec.ID, Program: rec.Program, State: rec.State,
		Timestamp: now.UTC().Truncate(time.Millisecond), Created: rec.Created,
		Attempt: rec.Attempt, Node: rec.Node,
	}
	if r.Created.IsZero() {
		r.Created = rec.Accepted
	}
	if rec.Attempt > 0 {
		r.Started = rec.Started
	}
	switch {
	case rec.State.Final():
		addEnd(&r, rec)
	case rec.State == jobs.Running:
		addLive(&r, rec)
	default:
		r.Reason = rec.Reason
		if rec.NotBefore.After(now) {
			r.NotBefore = rec.NotBefore
		}
	}
	return r
}

// addEnd makes the document of an end the same whenever it is made.
func addEnd(r *jobs.Result, rec ledger.Record) {
	r.Timestamp, r.Finished = rec.Finished, rec.Finished
	if rec.State == jobs.Succeeded {
		return
	}
	r.Error = rec.Error
	if r.Error == nil {
		r.Error = &jobs.Error{Class: jobs.OutcomeError, Message: "the ledger does not say why"}
		if rec.State == jobs.Cancelled {
			r.Error = &jobs.Error{Class: jobs.OutcomeCancelled, Message: "the job was cancelled"}
		}
	}
}

func addLive(r *jobs.Result, rec ledger.Record) {
	live := rec.Live
	r.Progress, r.Message, r.Counters = live.Progress, live.Message, live.Counters
	if json.Valid(live.Partial) {
		r.Partial = live.Partial
	}
	r.Reason = rec.Reason
	if rec.Asked != "" {
		r.Reason = asked[rec.Asked]
	}
}

// asked says what is being done to a running job.
var asked = map[ledger.Verb]string{
	ledger.VerbCancel:    "is being cancelled",
	ledger.VerbTerminate: "is being terminated",
	ledger.VerbReset:     "is being reset and will start over",
}

// Status is summary with what other jobs and the nodes have to do with it.
func (p *Jobs) Status(ctx context.Context, rec ledger.Record) (jobs.Result, error) {
	now := time.Now()
	r := Summary(rec, now)
	var err error
	switch rec.State {
	case jobs.Queued:
		err = p.explainQueued(ctx, &r)
	case jobs.Waiting:
		err = p.explainWaiting(ctx, &r, rec)
	}
	return r, err
}
