package worker

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/queues"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// longestDelay bounds the delay of a message. If a job waits longer its message is
	// delayed again.
	longestDelay = time.Hour
	// elsewhereDelay is the delay of a message whose program is not installed here.
	elsewhereDelay = 15 * time.Second
)

// messageAck deletes and releases messages. A message comes again if that fails, and
// changes nothing then: the ledger decides.
type messageAck struct {
	ledger interface {
		MarkSent(ctx context.Context, sent []ledger.Sent) error
	}
	jitter func() float64 // in [0, 1)
	logger *slog.Logger
}

// messagePriority returns the priority of the message of a job.
func messagePriority(r *ledger.Record) uint32 {
	return queues.MessagePriority(r.Priority, r.Attempt, r.Error, false)
}

// remove deletes a message.
func (m *messageAck) remove(ctx context.Context, message *queue.Delivery) {
	if err := message.Delete(ctx); err != nil && !errors.Is(err, queue.ErrGone) {
		m.logger.Debug("message not deleted; it comes again and changes nothing", "err", err)
	}
}

// removeForeign deletes a message that cannot be read because of err.
func (m *messageAck) removeForeign(ctx context.Context, message *queue.Delivery, err error) {
	m.logger.Warn("a message on a run tube is not one of ours; it is deleted", "beanstalkd", message.Addr, "message", message.ID, "err", err)
	m.remove(ctx, message)
}

// release releases a message with a delay in whole seconds, rounded up: otherwise it would
// come a moment too early, again and again.
func (m *messageAck) release(ctx context.Context, message *queue.Delivery, priority uint32, delay time.Duration) {
	seconds := math.Ceil(min(max(delay, 0), longestDelay).Seconds())
	if err := message.Release(ctx, priority, time.Duration(seconds)*time.Second); err != nil && !errors.Is(err, queue.ErrGone) {
		m.logger.Debug("message not released; it comes again by itself", "err", err)
	}
}

// putBack releases a message with the priority that it has, because its job is not known.
func (m *messageAck) putBack(ctx context.Context, message *queue.Delivery, delay time.Duration) {
	if err := message.Return(ctx, min(delay, longestDelay)); err != nil && !errors.Is(err, queue.ErrGone) {
		m.logger.Debug("message not released; it comes again by itself", "err", err)
	}
}

// decline releases or deletes the message of a job that is not to be run now. alive means
// that the job runs on a node that is up.
func (m *messageAck) decline(ctx context.Context, message *queue.Delivery, r *ledger.Record, alive bool) {
	switch {
	case r.State.Final(), r.State == jobs.Waiting:
		m.remove(ctx, message)
	case r.State == jobs.Running && alive:
		// The longer a job has been running, the longer it may go on.
		age := min(max(time.Since(r.Started)/4, 10*time.Second), 20*time.Second)
		m.release(ctx, message, messagePriority(r), m.spread(age))
	case r.State == jobs.Queued && r.Wait(time.Now()) > 0:
		m.release(ctx, message, messagePriority(r), r.Wait(time.Now()))
	default:
		m.release(ctx, message, messagePriority(r), m.spread(2*time.Second))
	}
}

// afterAttempt deletes or releases the message of an attempt whose end the ledger has
// recorded; e is nil if it has not.
func (m *messageAck) afterAttempt(ctx context.Context, message *queue.Delivery, a *attempt, e *ledger.Ending) {
	switch {
	case e == nil:
		m.release(ctx, message, messagePriority(&a.record), m.spread(2*time.Second))
	case a.misrouted():
		// The job gets a message of its own, because none is marked as sent.
		m.remove(ctx, message)
	case e.State == jobs.Queued:
		// Marked while this node still holds the message, so that it is sure to exist.
		sent := []ledger.Sent{{ID: a.record.ID, Server: message.Server, Message: message.ID}}
		if err := m.ledger.MarkSent(ctx, sent); err != nil {
			a.logger.Debug("message not marked; the job gets another one", "err", err)
		}
		priority := queues.MessagePriority(a.record.Priority, a.record.Attempt, e.Error, a.checkpoints.Kept())
		m.release(ctx, message, priority, time.Until(e.NotBefore))
	default:
		m.remove(ctx, message)
	}
}

// spread returns a random duration between half of d and one and a half of d.
func (m *messageAck) spread(d time.Duration) time.Duration {
	return d/2 + time.Duration(m.jitter()*float64(d))
}
