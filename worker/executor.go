package worker

import (
	"context"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/trouble"
)

// troubleBackoff is the first wait of an executor after the ledger or the disk has failed.
const troubleBackoff = time.Second

// executor takes one job at a time from its message to its end. Two executors share a
// slot, which an executor needs only until its program has ended: while one waits for the
// disk to take a result, the other runs the next program. Without the slot an executor
// takes no message, so that no node reserves jobs that it cannot run.
type executor struct {
	resources resources
	source    *messageSource
	programs  *program.Registry
	gate      *intakeGate
	handler   *jobHandler
	panics    *panicRecorder
	logger    *slog.Logger
	trouble   *trouble.Trouble // of the node
	failures  int              // of the ledger or the disk in a row
	backoff   retry.Backoff
	onPause   func()
}

// run takes one message after the other until take ends. Jobs that run then go on until
// work ends.
func (e *executor) run(take, work context.Context) {
	defer e.close()
	for take.Err() == nil {
		installed := e.programs.Current()
		open, change := e.gate.open()
		switch {
		case !open:
			waitEither(take, change)
		case len(installed.Tubes) == 0:
			waitEither(take, installed.Expired)
		case e.gate.troubled():
			e.tryOne(take, work, installed, change)
		default:
			e.serve(take, work, installed, change)
		}
	}
}

// tryOne handles one message on a node in trouble, once that may try one.
func (e *executor) tryOne(take, work context.Context, installed program.Snapshot, gateChange context.Context) {
	watch, cancel := watchAll(gateChange, take, installed.Expired)
	defer cancel()
	done, ok := e.trouble.Try(watch)
	if !ok {
		return
	}
	defer done()
	if e.resources.enterSlot(watch) {
		defer e.resources.leaveSlot()
		e.panics.safely(work, "", "reserve", func() { e.next(watch, take, work, installed.Tubes) })
	}
}

// watchAll returns a context that ends with gateChange and the others. It is a child of
// gateChange, so that it ends in the moment in which that does: AfterFunc runs later.
func watchAll(gateChange context.Context, others ...context.Context) (watch context.Context, cancel func()) {
	watch, end := context.WithCancel(gateChange)
	stops := make([]func() bool, len(others))
	for i, other := range others {
		stops[i] = context.AfterFunc(other, end)
	}
	return watch, func() {
		for _, stop := range stops {
			stop()
		}
		end()
	}
}

// waitEither returns when either context has ended.
func waitEither(a, b context.Context) {
	select {
	case <-a.Done():
	case <-b.Done():
	}
}

func (e *executor) close() {
	if err := e.source.close(); err != nil {
		e.logger.Debug("connection to beanstalkd not closed in good order", "err", err)
	}
	e.resources.scratch.Abandon()
}

// serve watches the tubes of a snapshot until it has expired or gateChange ends.
func (e *executor) serve(take, work context.Context, installed program.Snapshot, gateChange context.Context) {
	watch, cancel := watchAll(gateChange, take, installed.Expired)
	defer cancel()
	for watch.Err() == nil {
		if !e.resources.enterSlot(watch) {
			return
		}
		fine := false
		e.panics.safely(work, "", "reserve", func() { fine = e.next(watch, take, work, installed.Tubes) })
		if fine {
			e.failures = 0
		} else {
			e.failures++
			e.onPause()
			retry.Sleep(watch, e.backoff.Wait(e.failures))
		}
		e.resources.leaveSlot()
	}
}

// next waits for one message and handles it. It returns false if this node is in trouble
// and should take no work for a while.
func (e *executor) next(watch, take, work context.Context, tubes []string) bool {
	message, err := e.source.reserve(watch, tubes)
	switch {
	case err == nil && watch.Err() != nil:
		e.handler.ack.putBack(work, message, 0)
	case err == nil:
		return e.handler.handle(take, work, message, &e.resources)
	case watch.Err() == nil:
		e.logger.Warn("cannot reserve", "err", err)
		return false
	}
	return true
}
