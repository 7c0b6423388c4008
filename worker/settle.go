package worker

import (
	"context"
	"errors"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// finish records the end of an attempt; nil means that it is not recorded,
// because the attempt is not the job's newest or because the ledger fails.
func (l *lane) finish(ctx context.Context, a *attempt, err error) *ledger.Ending {
	if errors.Is(err, errStale) {
		a.logger.Warn("an attempt was stopped", "err", err)
		return nil
	}
	ending := a.ending(err)
	for try := 1; ; try++ {
		released, err := l.cfg.Ledger.Finish(ctx, a.record.ID, a.record.Attempt, ending)
		if err == nil {
			l.safely(ctx, a, "ended", func() { l.ended(ctx, a, &ending, released) })
			return &ending
		}
		var caught *panics.Error
		if errors.As(err, &caught) {
			return l.finishBare(ctx, a, caught)
		}
		// A ledger that the disk has failed takes nothing more in this life.
		gone := stale(err) || errors.Is(err, ledger.ErrReopen)
		if gone || try&(try-1) == 0 || ctx.Err() != nil { // the first, second, fourth …
			a.logger.Error("the end of an attempt is not recorded", "outcome", ending.Outcome, "err", err)
		}
		// While the ledger fails this slot has nothing better to do than to
		// wait for it: a job whose end is not recorded would run again.
		if gone || !sleep(ctx, min(l.backoff.wait(try), troubleMost)) {
			return nil
		}
	}
}

// ending makes of the end of an attempt what the ledger records.
func (a *attempt) ending(err error) ledger.Ending {
	var f *fault
	if err != nil && !errors.As(err, &f) {
		f = &fault{outcome: jobs.OutcomeError, message: err.Error()}
	}
	p := policy{
		backoff: a.backoff, node: a.cfg.Node, now: time.Now(), attempts: a.cfg.Attempts,
		inputs: a.inputBackoff, patience: a.cfg.inputPatience,
	}
	if a.program != nil {
		p.attempts = a.attempts()
	}
	e := p.ending(&a.record, f, a.logTail())
	if a.fetched {
		e.Inputs = ledger.InputsHad
	}
	if exit := a.exit; exit != nil {
		e.ExitCode, e.CPU, e.MaxRSS = exit.Code, exit.CPU, exit.MaxRSS
		if exit.Signal != 0 {
			e.Signal = unix.SignalName(exit.Signal)
		}
	}
	return e
}

// ended says that an attempt has ended, and sends the jobs that waited for it.
func (l *lane) ended(ctx context.Context, a *attempt, e *ledger.Ending, released []ledger.Record) {
	attrs := []any{"outcome", string(e.Outcome), "duration", time.Since(a.start).Round(time.Microsecond).String()}
	if e.Error != nil {
		attrs = append(attrs, "state", string(e.State), "err", e.Error.Message)
	}
	a.logger.Info("attempt ended", attrs...)
	a.tell(e)
	if len(released) > 0 && l.cfg.Send != nil {
		if err := l.cfg.Send(ctx, released); err != nil {
			a.logger.Warn("jobs that waited for this one are not sent yet", "err", err)
		}
	}
}

// settle puts the message away, as the ledger has decided.
func (l *lane) settle(ctx context.Context, message *queue.Delivery, a *attempt, e *ledger.Ending) {
	switch {
	case e == nil:
		l.release(ctx, message, a.record.Priority, l.spread(2*time.Second))
	case a.misled():
		// The job gets a message of its own, because none is marked as sent.
		l.remove(ctx, message)
	case e.State == jobs.Queued:
		// Marked while we still hold it: it is sure to be there.
		sent := []ledger.Sent{{ID: a.record.ID, Server: message.Server, Message: message.ID}}
		if err := l.cfg.Ledger.MarkSent(ctx, sent); err != nil {
			a.logger.Debug("message not marked; the job gets another one", "err", err)
		}
		l.release(ctx, message, a.record.Priority, time.Until(e.NotBefore))
	default:
		l.remove(ctx, message)
	}
}

func (l *lane) remove(ctx context.Context, message *queue.Delivery) {
	if err := message.Delete(ctx); err != nil && !errors.Is(err, queue.ErrGone) {
		l.logger.Debug("message not deleted; it comes again and changes nothing", "err", err)
	}
}

// release puts a message back for later, in whole seconds: a moment too early
// would have it come and go until it is time.
func (l *lane) release(ctx context.Context, message *queue.Delivery, priority uint32, delay time.Duration) {
	seconds := math.Ceil(min(max(delay, 0), longestDelay).Seconds())
	if err := message.Release(ctx, priority, time.Duration(seconds)*time.Second); err != nil && !errors.Is(err, queue.ErrGone) {
		l.logger.Debug("message not released; it comes again by itself", "err", err)
	}
}

// putBack releases a message whose job is not known, with the priority that it
// has.
func (l *lane) putBack(ctx context.Context, message *queue.Delivery, delay time.Duration) {
	if err := message.Return(ctx, min(delay, longestDelay)); err != nil && !errors.Is(err, queue.ErrGone) {
		l.logger.Debug("message not released; it comes again by itself", "err", err)
	}
}

// spread is d, more or less.
func (l *lane) spread(d time.Duration) time.Duration {
	return d/2 + time.Duration(l.cfg.Jitter()*float64(d))
}
