package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/panics"
)

// eventRecorder logs what the dispatcher does by itself, and records it as events
// in the ledger.
type eventRecorder struct {
	ledger   *ledger.Ledger
	node     string
	log      *slog.Logger
	onAction func(kind string, n int)
	panics   panics.Limit
}

// warn logs an error, unless there is none or ctx has ended.
func (e *eventRecorder) warn(ctx context.Context, message string, err error) {
	if err != nil && ctx.Err() == nil {
		e.log.Warn(message, "err", err)
	}
}

// action reports that the reconciler did something to n jobs.
func (e *eventRecorder) action(kind string, n int) {
	if n > 0 {
		e.onAction(kind, n)
	}
}

// record records events under this node's name. A failure is logged.
func (e *eventRecorder) record(ctx context.Context, events []eventlog.Event) {
	if len(events) == 0 {
		return
	}
	for i := range events {
		events[i].Node = e.node
	}
	e.warn(ctx, "events not recorded", e.ledger.Events.NoteAll(ctx, events))
}

// guard runs f and records a panic in it.
func (e *eventRecorder) guard(ctx context.Context, stage string, f func()) {
	if caught := panics.Catch(f); caught != nil {
		e.caught(ctx, "", stage, caught)
	}
}

// caught logs a panic with its stack. It records the same panic at most once an
// hour, because one in the reconciler comes back in each round.
func (e *eventRecorder) caught(ctx context.Context, job, stage string, caught *panics.Error) {
	e.log.Error("a panic was caught", "job", job, "stage", stage, "err", caught, "stack", caught.Stack)
	if !e.panics.Allow(stage, job, caught, time.Now()) {
		return
	}
	e.record(ctx, []eventlog.Event{{Kind: "panic", Job: job, Message: stage + ": " + caught.Error() + "\n" + caught.Stack}})
}

// isPanic reports whether err is a panic that was caught.
func isPanic(err error) bool {
	var caught *panics.Error
	return errors.As(err, &caught)
}
