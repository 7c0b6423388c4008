package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

// retryLater is how long inbox jobs are put aside while the ledger cannot record
// them, for instance because the disk is full.
const retryLater = 5 * time.Second

// intake takes documents from the inbox tubes.
type intake struct {
	queue     queue.Config
	batch     int // documents in one transaction
	tubes     tubes
	gate      *intakeGate
	documents *documents
	events    *eventRecorder
}

// serve takes documents from one beanstalkd server until ctx ends. The consumer
// itself waits for a server that is away.
func (in *intake) serve(ctx context.Context, addr string) error {
	cfg := in.queue
	cfg.Addrs = []string{addr}
	consumer, err := queue.NewConsumer(cfg)
	if err != nil {
		return fmt.Errorf("dispatch: %w", err)
	}
	defer consumer.Close()
	for {
		open, leave := in.gate.enter(ctx)
		var batch []*queue.Delivery
		err := panics.Call(func() (err error) { batch, err = consumer.ReserveBatch(open, in.tubes.inboxes(), in.batch); return err })
		closed := open.Err() != nil
		leave()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && closed:
			continue
		case err != nil:
			in.events.log.Warn("cannot reserve from the inbox", "beanstalkd", addr, "err", err)
			if !retry.Sleep(ctx, time.Second) {
				return nil
			}
			continue
		}
		// A batch that was reserved is finished even if ctx ends meanwhile.
		if !in.takeSafely(context.WithoutCancel(ctx), batch) && !retry.Sleep(ctx, retryLater) {
			return nil
		}
	}
}

// take records one batch. It deletes a message once the ledger has the job, buries
// one that cannot be read, and releases all where the ledger failed. It reports
// whether the ledger worked.
func (in *intake) take(ctx context.Context, batch []*queue.Delivery) bool {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	entries := make([]ledger.Entry, 0, len(batch))
	readable := make([]*queue.Delivery, 0, len(batch))
	for _, delivery := range batch {
		entry, err := in.entrySafely(ctx, delivery.Body)
		var fault *jobs.Fault
		switch {
		case err == nil:
			entries = append(entries, entry)
			readable = append(readable, delivery)
		case errors.As(err, &fault):
			in.bury(ctx, delivery, err)
		default:
			in.release(ctx, batch, err)
			return false
		}
	}
	accepted, err := in.documents.record(ctx, entries)
	switch {
	case isPanic(err) && len(entries) > 1:
		return in.takeOneByOne(ctx, readable)
	case isPanic(err):
		in.bury(ctx, readable[0], err)
		return true
	case err != nil:
		in.release(ctx, readable, err)
		return false
	}
	for i, delivery := range readable {
		in.finish(ctx, delivery, accepted[i].Err)
	}
	return true
}

// takeSafely is take. If take panics, the documents stay where they are.
func (in *intake) takeSafely(ctx context.Context, batch []*queue.Delivery) (ok bool) {
	if caught := panics.Catch(func() { ok = in.take(ctx, batch) }); caught != nil {
		in.events.caught(ctx, "", "intake", caught)
		in.release(ctx, batch, caught)
	}
	return ok
}

// takeOneByOne takes each document alone, so that one on which the ledger panics
// does not hold up the others.
func (in *intake) takeOneByOne(ctx context.Context, batch []*queue.Delivery) bool {
	ok := true
	for i := range batch {
		ok = in.takeSafely(ctx, batch[i:i+1]) && ok
	}
	return ok
}

// finish deletes a message whose document the ledger has recorded, or has refused
// because its id is taken or was that of a job that was deleted. It buries one that was refused otherwise.
func (in *intake) finish(ctx context.Context, delivery *queue.Delivery, refused error) {
	if errors.Is(refused, retention.ErrDeleted) {
		in.events.log.Info("a document came again whose job was deleted; it is not run", "beanstalkd", delivery.Addr, "message", delivery.ID, "err", refused)
	} else if refused != nil && !errors.Is(refused, ledger.ErrConflict) {
		in.bury(ctx, delivery, refused)
		return
	}
	if err := delivery.Delete(ctx); err != nil {
		// The document comes again and changes nothing, because its id is known.
		in.events.log.Debug("inbox job not deleted", "err", err)
	}
}

// entry makes a ledger entry of a document. A document with a fault and a readable
// id becomes a failed job. Without an id, entry returns the fault.
func (in *intake) entry(ctx context.Context, document []byte) (ledger.Entry, error) {
	job, err := in.documents.check(ctx, document)
	if err == nil {
		return ledger.Entry{Job: job, Document: document}, nil
	}
	// The nodes of a pool start in any order, so the job waits for its program.
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

// entrySafely is entry. A document on which entry panics becomes a failed job, or
// a fault where it has no readable id.
func (in *intake) entrySafely(ctx context.Context, document []byte) (ledger.Entry, error) {
	var entry ledger.Entry
	err := panics.Call(func() (err error) { entry, err = in.entry(ctx, document); return err })
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
	in.events.caught(ctx, named.ID, "document", caught)
	message := "a defect of the node: " + caught.Error()
	if named.ID == "" {
		return ledger.Entry{}, &jobs.Fault{Message: message}
	}
	return ledger.Entry{
		Job: jobs.Job{ID: named.ID}, Document: document,
		Fault: &jobs.Error{Class: jobs.OutcomeInternal, Message: message},
	}, nil
}

// bury keeps a message that cannot be recorded, so that a person can look at it.
func (in *intake) bury(ctx context.Context, delivery *queue.Delivery, fault error) {
	in.events.log.Warn("an inbox job cannot be recorded; it is buried", "beanstalkd", delivery.Addr, "message", delivery.ID, "err", fault)
	in.events.record(ctx, []eventlog.Event{{
		Kind: "unreadable",
		Message: fmt.Sprintf("inbox job %d on %s is buried: %v; it begins %q",
			delivery.ID, delivery.Addr, fault, logtext.First(string(delivery.Body), 64)),
	}})
	if err := delivery.Bury(ctx, jobs.DefaultPriority); err != nil {
		in.events.log.Warn("inbox job not buried; it comes again", "err", err)
	}
}

func (in *intake) release(ctx context.Context, batch []*queue.Delivery, cause error) {
	in.events.log.Error("the ledger does not record; inbox jobs stay where they are", "jobs", len(batch), "err", cause)
	for _, delivery := range batch {
		if err := delivery.Return(ctx, retryLater); err != nil {
			in.events.log.Debug("inbox job not released", "err", err)
		}
	}
}
