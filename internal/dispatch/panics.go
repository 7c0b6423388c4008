package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

func panicked(err error) bool {
	var caught *panics.Error
	return errors.As(err, &caught)
}

// guard runs f, and writes down a panic in it.
func (d *Dispatcher) guard(ctx context.Context, stage string, f func()) {
	if caught := panics.Catch(f); caught != nil {
		d.caught(ctx, "", stage, caught)
	}
}

// caught logs a panic with its stack, and records it at most once an hour: one in
// the reconciler comes with each round.
func (d *Dispatcher) caught(ctx context.Context, job, stage string, caught *panics.Error) {
	d.log.Error("a panic was caught", "job", job, "stage", stage, "err", caught, "stack", caught.Stack)
	if !d.panics.Allow(stage, job, caught, time.Now()) {
		return
	}
	d.note(ctx, []eventlog.Event{{Kind: "panic", Job: job, Message: stage + ": " + caught.Error() + "\n" + caught.Stack}})
}

// entrySafely is entry. A document that it panics on becomes a failed job, or is
// a fault where it names no id.
func (d *Dispatcher) entrySafely(ctx context.Context, document []byte) (ledger.Entry, error) {
	var entry ledger.Entry
	err := panics.Call(func() (err error) { entry, err = d.entry(ctx, document); return err })
	var caught *panics.Error
	if !errors.As(err, &caught) {
		return entry, err
	}
	var named struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(document, &named) != nil || !jobs.ValidID(named.ID) {
		named.ID = ""
	}
	d.caught(ctx, named.ID, "document", caught)
	message := "a defect of the node: " + caught.Error()
	if named.ID == "" {
		return ledger.Entry{}, &jobs.Fault{Message: message}
	}
	return ledger.Entry{
		Job: jobs.Job{ID: named.ID}, Document: document,
		Fault: &jobs.Error{Class: jobs.OutcomeInternal, Message: message},
	}, nil
}

// takeInSafely is takeIn. Where that panics the documents stay where they are.
func (d *Dispatcher) takeInSafely(ctx context.Context, batch []*queue.Delivery) (fine bool) {
	caught := panics.Catch(func() { fine = d.takeIn(ctx, batch) })
	if caught != nil {
		d.caught(ctx, "", "intake", caught)
		d.release(ctx, batch, caught)
	}
	return fine
}

// takeInAlone takes in one document after the other, so that the one that the
// ledger panics on does not hold up the rest.
func (d *Dispatcher) takeInAlone(ctx context.Context, batch []*queue.Delivery) bool {
	fine := true
	for i := range batch {
		fine = d.takeInSafely(ctx, batch[i:i+1]) && fine
	}
	return fine
}
