package publisher

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// summary is what a record says by itself, as a listing shows it.
func summary(rec ledger.Record, now time.Time) jobs.Result {
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

// status is summary with what other jobs and the nodes have to do with it.
func (p *Publisher) status(ctx context.Context, rec ledger.Record) (jobs.Result, error) {
	now := time.Now()
	r := summary(rec, now)
	var err error
	switch rec.State {
	case jobs.Queued:
		err = p.explainQueued(ctx, &r)
	case jobs.Waiting:
		err = p.explainWaiting(ctx, &r, rec)
	}
	return r, err
}

// document is a job as its result URL answers for it at one moment. It is
// shared between everybody who asks and must not be changed.
type document struct {
	id     string
	state  jobs.State // empty where the job is unknown
	result jobs.Result
	body   []byte // compact JSON; for a success without a result that is large
	// version tells documents of one job apart, whatever the time they were made.
	version string
	stored  *stored // of a success
	err     error   // why there is no document

	once  sync.Once
	event *live.Message // made when it is asked for first
}

func (d *document) final() bool { return d.state.Final() }

// read makes the document of a job as it stands now. An unknown job is
// [ledger.ErrUnknown], unless the store has its result.
func (p *Publisher) read(ctx context.Context, id string) *document {
	d := p.readOnce(ctx, id)
	if d.err == nil && d.state == jobs.Queued && d.result.Position == nil && d.result.NotBefore.IsZero() {
		return p.readOnce(ctx, id) // it may have left the queue between two questions
	}
	return d
}

func (p *Publisher) readOnce(ctx context.Context, id string) *document {
	d := &document{id: id}
	d.err = panics.Call(func() error {
		rec, err := p.cfg.Ledger.Get(ctx, id)
		switch {
		case err != nil:
			return p.readOrphan(ctx, d, err)
		case rec.State == jobs.Succeeded:
			return p.readSuccess(ctx, d, rec)
		}
		return p.readStatus(ctx, d, rec)
	})
	return d
}

func (p *Publisher) readStatus(ctx context.Context, d *document, rec ledger.Record) error {
	r, err := p.status(ctx, rec)
	if err != nil {
		return err
	}
	return d.render(r)
}

// renderedZero is the zero time in a document, in the place that render fills.
var renderedZero = []byte(`"timestamp":"0001-01-01T00:00:00Z"`)

// render marshals r. The version is that of the document without its time,
// except for an end, the time of which is part of it.
func (d *document) render(r jobs.Result) error {
	d.state, d.result = r.State, r
	made := r.Timestamp
	if !d.final() {
		r.Timestamp = time.Time{}
	}
	body, err := httpio.Marshal(r)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	d.version = hex.EncodeToString(sum[:16])
	if !d.final() {
		stamp := append(made.AppendFormat([]byte(`"timestamp":"`), time.RFC3339Nano), '"')
		body = bytes.Replace(body, renderedZero, stamp, 1)
	}
	d.body = body
	return nil
}
