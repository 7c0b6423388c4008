package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

// retryLater is how long inbox jobs are put aside while the ledger cannot
// record them, for instance because the disk is full.
const retryLater = 5 * time.Second

// serveInbox takes documents from one beanstalkd server until ctx ends. The
// consumer itself waits for a server that is away.
func (d *Dispatcher) serveInbox(ctx context.Context, addr string) error {
	cfg := d.cfg.Queue
	cfg.Addrs = []string{addr}
	consumer, err := queue.NewConsumer(cfg)
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	defer consumer.Close()
	for {
		open, leave := d.hold.enter(ctx)
		var batch []*queue.Delivery
		err := panics.Call(func() (err error) { batch, err = consumer.ReserveBatch(open, d.inboxes(), d.cfg.Batch); return err })
		held := open.Err() != nil
		leave()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && held:
			continue
		case err != nil:
			d.log.Warn("cannot reserve from the inbox", "beanstalkd", addr, "err", err)
			if !retry.Sleep(ctx, time.Second) {
				return nil
			}
			continue
		}
		// A batch that is in hand is finished even when ctx ends meanwhile.
		if !d.takeInSafely(context.WithoutCancel(ctx), batch) && !retry.Sleep(ctx, retryLater) {
			return nil
		}
	}
}

// takeIn records one batch and settles each message: deleted once the ledger
// has the job, buried where nothing can be read, released where the ledger
// failed. It reports whether the ledger worked.
func (d *Dispatcher) takeIn(ctx context.Context, batch []*queue.Delivery) bool {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	entries := make([]ledger.Entry, 0, len(batch))
	readable := make([]*queue.Delivery, 0, len(batch))
	for _, delivery := range batch {
		entry, err := d.entrySafely(ctx, delivery.Body)
		switch {
		case err == nil:
			entries = append(entries, entry)
			readable = append(readable, delivery)
		case isFault(err):
			d.bury(ctx, delivery, err)
		default:
			d.release(ctx, batch, err)
			return false
		}
	}
	accepted, err := d.record(ctx, entries)
	switch {
	case panicked(err) && len(entries) > 1:
		return d.takeInAlone(ctx, readable)
	case panicked(err):
		d.bury(ctx, readable[0], err)
		return true
	case err != nil:
		d.release(ctx, readable, err)
		return false
	}
	for i, delivery := range readable {
		d.settle(ctx, delivery, accepted[i].Err)
	}
	return true
}

// settle deletes a message whose document the ledger has, or has refused with
// an event because its id is taken. What it refuses otherwise is kept.
func (d *Dispatcher) settle(ctx context.Context, delivery *queue.Delivery, refused error) {
	if refused != nil && !errors.Is(refused, ledger.ErrConflict) {
		d.bury(ctx, delivery, refused)
		return
	}
	if err := delivery.Delete(ctx); err != nil {
		// The document comes again and changes nothing: its id is known.
		d.log.Debug("inbox job not deleted", "err", err)
	}
}

// entry makes a ledger entry of a document. A fault in a document with a
// readable id is recorded as a failed job; without one the fault is returned.
func (d *Dispatcher) entry(ctx context.Context, document []byte) (ledger.Entry, error) {
	job, err := d.check(ctx, document)
	if err == nil {
		return ledger.Entry{Job: job, Document: document}, nil
	}
	// When a pool starts, nodes come up in any order.
	var unknown *unknownProgram
	if errors.As(err, &unknown) {
		return ledger.Entry{Job: job, Document: document, Awaits: unknown.Error()}, nil
	}
	var fault *jobs.Fault
	if !errors.As(err, &fault) || fault.ID == "" {
		return ledger.Entry{}, err
	}
	return ledger.Entry{
		Job:      jobs.Job{ID: fault.ID, Program: fault.Program, Result: jobs.Target{URL: fault.ResultURL}},
		Document: document,
		Fault:    &jobs.Error{Class: jobs.ClassDocument, Message: fault.Message, Pointer: fault.Pointer},
	}, nil
}

// bury keeps a message that cannot be recorded where a person can look at it.
func (d *Dispatcher) bury(ctx context.Context, delivery *queue.Delivery, fault error) {
	d.log.Warn("an inbox job cannot be recorded; it is buried", "beanstalkd", delivery.Addr, "message", delivery.ID, "err", fault)
	note := eventlog.Event{
		Kind: "unreadable", Node: d.cfg.Node,
		Message: fmt.Sprintf("inbox job %d on %s is buried: %v; it begins %q", delivery.ID, delivery.Addr, fault, logtext.First(string(delivery.Body), 64)),
	}
	if err := d.cfg.Ledger.Events.Note(ctx, note); err != nil {
		d.log.Warn("event not recorded", "err", err)
	}
	if err := delivery.Bury(ctx, jobs.DefaultPriority); err != nil {
		d.log.Warn("inbox job not buried; it comes again", "err", err)
	}
}

func (d *Dispatcher) release(ctx context.Context, batch []*queue.Delivery, cause error) {
	d.log.Error("the ledger does not record; inbox jobs stay where they are", "jobs", len(batch), "err", cause)
	for _, delivery := range batch {
		if err := delivery.Return(ctx, retryLater); err != nil {
			d.log.Debug("inbox job not released", "err", err)
		}
	}
}

func isFault(err error) bool {
	var fault *jobs.Fault
	return errors.As(err, &fault)
}
