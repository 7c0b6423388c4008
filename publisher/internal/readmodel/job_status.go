package readmodel

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// Summary returns what a record alone says of a job, as a list shows it.
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

// addEnd adds the end of a job. The document is the same whenever it is made.
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
	r.Progress, r.Message, r.Counters, r.Chunk = live.Progress, live.Message, live.Counters, live.Chunk
	if json.Valid(live.Partial) {
		r.Partial = live.Partial
	}
	r.Reason = text.JoinClauses(rec.Reason, rec.InterruptedText())
	if rec.Asked != "" {
		r.Reason = asked[rec.Asked]
	}
}

// asked says which order of a person a running job is about to follow.
var asked = map[ledger.Verb]string{
	ledger.VerbCancel:    "is being cancelled",
	ledger.VerbTerminate: "is being terminated",
	ledger.VerbReset:     "is being reset and will start over",
}

// Status returns Summary with the reasons that lie with other jobs and with nodes.
func (p *Jobs) Status(ctx context.Context, rec ledger.Record) (jobs.Result, error) {
	now := time.Now()
	r := Summary(rec, now)
	var err error
	switch rec.State {
	case jobs.Queued:
		err = p.explainQueued(ctx, &r, rec)
	case jobs.Waiting:
		err = p.explainWaiting(ctx, &r, rec)
	}
	return r, err
}
