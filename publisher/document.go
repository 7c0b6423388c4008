package publisher

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

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

// ID, State, Version, Failed and Message make document a [live.Document].
func (d *document) ID() string { return d.id }

// State returns "" for an unknown job.
func (d *document) State() jobs.State { return d.state }

// Version returns a hash of what the document says.
func (d *document) Version() string { return d.version }

// Failed reports whether the document could not be read; an unknown job is no failure.
func (d *document) Failed() bool { return d.err != nil && !isUnknown(d.err) }

// Message returns the document as an event, made once for all streams, or nil if
// there is no document.
func (d *document) Message() *live.Message {
	if d.err != nil {
		return nil
	}
	d.once.Do(func() {
		d.event = live.Event("state", d.version, d.body, "state")
		if d.final() {
			d.event.Last()
		}
	})
	return d.event
}

func (d *document) final() bool { return d.state.Final() }

// read makes the document of a job as it stands now. An unknown job is
// [ledger.ErrUnknown], unless the store has its result.
func (docs *Documents) read(ctx context.Context, id string) *document {
	d := docs.readOnce(ctx, id)
	if d.err == nil && d.state == jobs.Queued && d.result.Position == nil && d.result.NotBefore.IsZero() {
		return docs.readOnce(ctx, id) // it may have left the queue between two questions
	}
	return d
}

func (docs *Documents) readOnce(ctx context.Context, id string) *document {
	d := &document{id: id}
	d.err = panics.Call(func() error {
		rec, err := docs.ledger.Get(ctx, id)
		switch {
		case err != nil:
			return docs.readOrphan(ctx, d, err)
		case rec.State == jobs.Succeeded:
			return docs.readSuccess(ctx, d, rec)
		}
		return docs.readStatus(ctx, d, rec)
	})
	return d
}

func (docs *Documents) readStatus(ctx context.Context, d *document, rec ledger.Record) error {
	r, err := docs.jobs.Status(ctx, rec)
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
