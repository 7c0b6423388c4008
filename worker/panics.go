package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
)

// kindPanic is the kind of the event that keeps the stack of a panic.
const kindPanic = "panic"

// panicRecorder logs panics and records them as events.
type panicRecorder struct {
	node   string
	events publish.Events
	logger *slog.Logger
	limit  panics.Limit
}

// record logs a panic with its stack. It records an event at most once an hour for the
// same panic.
func (r *panicRecorder) record(ctx context.Context, job, stage string, caught *panics.Error) {
	r.logger.Error("a panic was caught", "job", job, "node", r.node, "stage", stage, "err", caught, "stack", caught.Stack)
	if !r.limit.Allow(stage, job, caught, time.Now()) {
		return
	}
	e := eventlog.Event{Kind: kindPanic, Job: job, Node: r.node, Message: stage + ": " + caught.Error() + "\n" + caught.Stack}
	if err := panics.Call(func() error { return r.events.Note(ctx, e) }); err != nil {
		r.logger.Warn("event not recorded", "event", kindPanic, "err", err)
	}
}

// safely calls f, a step of the work on a job. It records a panic and reports whether there
// was none.
func (r *panicRecorder) safely(ctx context.Context, job, stage string, f func()) bool {
	caught := panics.Catch(f)
	if caught != nil {
		r.record(ctx, job, stage, caught)
	}
	return caught == nil
}
