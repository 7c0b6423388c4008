package worker

import (
	"context"
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// kindPanic is the kind of the event that keeps the stack of a panic.
const kindPanic = "panic"

// internalFault is the end of an attempt that this node could not handle. It is
// final: the next node has the same defect.
func internalFault(caught *panics.Error) *fault {
	return &fault{outcome: jobs.OutcomeInternal, final: true, message: "a defect of the node: " + caught.Error() +
		"; an event of kind panic has the stack. Please report it; run the job again once the nodes are updated"}
}

// pass lets tests plant a panic at a stage.
func (w *Worker) pass(stage string) {
	if w.cfg.stage != nil {
		w.cfg.stage(stage)
	}
}

// caught logs a panic with its stack, and records it at most once an hour.
func (w *Worker) caught(ctx context.Context, job, stage string, caught *panics.Error) {
	w.logger.Error("a panic was caught", "job", job, "node", w.cfg.Node, "stage", stage, "err", caught, "stack", caught.Stack)
	if !w.panics.Allow(stage, job, caught, time.Now()) {
		return
	}
	e := eventlog.Event{Kind: kindPanic, Job: job, Node: w.cfg.Node, Message: stage + ": " + caught.Error() + "\n" + caught.Stack}
	if err := panics.Call(func() error { return w.cfg.Events.Note(ctx, e) }); err != nil {
		w.logger.Warn("event not recorded", "event", kindPanic, "err", err)
	}
}

// aside runs what works on the attempt in another goroutine than its lane. A
// panic in it ends the attempt.
func (a *attempt) aside(f func()) {
	if caught := panics.Catch(f); caught != nil && a.panic.CompareAndSwap(nil, caught) {
		a.kill(caught)
		a.cancel(caught)
	}
}

// runSafely is run, with a panic on the way as its error. A result that was
// published before is a success all the same.
func (a *attempt) runSafely(ctx context.Context) error {
	err := panics.Call(func() error { return a.run(ctx) })
	caught := a.panic.Load()
	if errors.As(err, &caught); caught == nil {
		return err
	}
	long, cancel := outlive(ctx, settleTime)
	defer cancel()
	a.caught(long, a.record.ID, "run", caught)
	if err == nil || errors.Is(err, errStale) {
		return err
	}
	var f *fault
	switch err := panics.Call(func() error { return a.adopt(long) }); {
	case err == nil:
		return nil
	case errors.As(err, &f): // nobody knows whether there is a result
		return f
	}
	return internalFault(caught)
}

// safely runs one of the steps that end an attempt, and reports whether it came
// to its end: the others are taken in any case.
func (l *lane) safely(ctx context.Context, a *attempt, step string, f func()) bool {
	caught := panics.Catch(f)
	if caught != nil {
		l.caught(ctx, a.record.ID, step, caught)
	}
	return caught == nil
}

// nextSafely is next; a panic is trouble of this node.
func (l *lane) nextSafely(watch, take, work context.Context, tubes []string) (fine bool) {
	if caught := panics.Catch(func() { fine = l.next(watch, take, work, tubes) }); caught != nil {
		l.caught(work, "", "reserve", caught)
	}
	return fine
}

// handleSafely is handle. Where that panics before there is an attempt, the job
// of the message that is held then fails, and the message is put back: the next
// lane that reserves it finds that out.
func (l *lane) handleSafely(take, ctx context.Context, message *queue.Delivery) (fine bool) {
	caught := panics.Catch(func() { fine = l.handle(take, ctx, &message) })
	if caught == nil {
		return fine
	}
	id := ""
	if h, err := readHint(message.Body); err == nil {
		id = h.ID
	}
	l.unclaimed(ctx, message, id, caught)
	return true
}

// unclaimed fails a job that no node can claim.
func (l *lane) unclaimed(ctx context.Context, message *queue.Delivery, id string, caught *panics.Error) {
	l.caught(ctx, id, "claim", caught)
	f := internalFault(caught)
	err := panics.Call(func() error {
		return l.cfg.Ledger.Fail(ctx, id, jobs.Error{Class: f.outcome, Message: clean(f.message, maxMessage)})
	})
	if err != nil {
		l.logger.Error("a job that cannot be claimed does not fail", "job", id, "err", err)
	}
	l.release(ctx, message, jobs.DefaultPriority, l.spread(elsewhereDelay))
}

// finishSafely is finish. Where that panics the attempt ends without what its
// run has left, unless its result is published.
func (l *lane) finishSafely(ctx context.Context, a *attempt, err error) (ending *ledger.Ending) {
	caught := panics.Catch(func() { ending = l.finish(ctx, a, err) })
	if caught == nil {
		return ending
	}
	return l.finishBare(ctx, a, caught)
}

// finishBare records the end of an attempt whose own ending cannot be recorded.
func (l *lane) finishBare(ctx context.Context, a *attempt, caught *panics.Error) *ledger.Ending {
	l.caught(ctx, a.record.ID, "finish", caught)
	f := internalFault(caught)
	ending := ledger.Ending{Outcome: f.outcome, State: jobs.Failed, ExitCode: -1, Error: &jobs.Error{Class: f.outcome, Message: clean(f.message, maxMessage)}}
	if a.document != nil {
		ending = ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, ExitCode: -1}
	}
	err := panics.Call(func() error {
		_, err := l.cfg.Ledger.Finish(ctx, a.record.ID, a.record.Attempt, ending)
		return err
	})
	if err != nil {
		a.logger.Error("the end of an attempt is not recorded", "err", err)
		return nil
	}
	return &ending
}
