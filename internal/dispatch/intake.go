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
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// retryLater is how long inbox messages are put aside while the ledger cannot record
	// them, for instance because the disk is full.
	retryLater = 5 * time.Second
	// takeTimeout bounds one transaction, and what is asked of beanstalkd around it.
	takeTimeout = 30 * time.Second
)

// intake takes documents from the inbox tubes.
type intake struct {
	queue     queue.Config
	batch     int // see Config.Batch
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
		if !in.take(ctx, batch) && !retry.Sleep(ctx, retryLater) {
			return nil
		}
	}
}

// take records the documents of a batch of messages. It deletes a message once the
// ledger has all its documents, buries one with a document that cannot be recorded, and
// releases all where the ledger failed. It reports whether the ledger worked. When ctx
// ends, it finishes one transaction; the server returns the other messages to their tube.
func (in *intake) take(ctx context.Context, batch []*queue.Delivery) bool {
	for len(batch) > 0 && ctx.Err() == nil {
		var taken int
		err := panics.Call(func() (err error) { taken, err = in.takeSome(context.WithoutCancel(ctx), batch); return err })
		if caught := (*panics.Error)(nil); errors.As(err, &caught) {
			in.events.caught(ctx, "", "intake", caught)
		}
		if err != nil {
			in.release(ctx, batch, err)
			return false
		}
		batch = batch[taken:]
	}
	return true
}

// takeSome records the documents of the first messages of a batch in one transaction, at
// most in.batch documents or one message. It returns how many messages it has ended.
func (in *intake) takeSome(ctx context.Context, batch []*queue.Delivery) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	var messages []inboxMessage
	var entries []ledger.Entry
	for documents := 0; len(messages) < len(batch); {
		m := openMessage(batch[len(messages)])
		if documents += len(m.documents); documents > in.batch && len(messages) > 0 {
			break
		}
		if err := in.read(ctx, &m); err != nil {
			return 0, err
		}
		messages = append(messages, m)
		entries = append(entries, m.entries...)
	}
	accepted, err := in.record(ctx, entries)
	if err != nil {
		return 0, err
	}
	for i := range messages {
		n := len(messages[i].entries)
		in.finish(ctx, &messages[i], accepted[:n])
		accepted = accepted[n:]
	}
	return len(messages), nil
}

// read makes the entries of a message. An error says that the ledger does not answer.
func (in *intake) read(ctx context.Context, m *inboxMessage) error {
	for i, document := range m.documents {
		entry, err := in.entrySafely(ctx, document)
		if err == nil {
			err = in.documents.useOf(ctx, &entry)
		}
		var fault *jobs.Fault
		switch {
		case err == nil:
			m.entries, m.at = append(m.entries, entry), append(m.at, i)
		case errors.As(err, &fault):
			m.refuse(i, err)
		default:
			return err
		}
	}
	return nil
}

// record records entries in one transaction. If the ledger panics on one of them, it
// records each alone, so that one does not hold up the others.
func (in *intake) record(ctx context.Context, entries []ledger.Entry) ([]ledger.Accepted, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	accepted, err := in.documents.record(ctx, entries)
	if !isPanic(err) {
		return accepted, err
	}
	accepted = make([]ledger.Accepted, len(entries))
	for i := range entries {
		alone, err := in.documents.record(ctx, entries[i:i+1])
		switch {
		case isPanic(err):
			accepted[i].Err = err
		case err != nil:
			return nil, err
		default:
			accepted[i] = alone[0]
		}
	}
	return accepted, nil
}

// finish deletes a message whose documents the ledger has recorded, or has refused
// because an id is taken or was that of a job that was deleted. It buries a message with
// a document that was refused otherwise: kicked, it changes nothing for those recorded.
func (in *intake) finish(ctx context.Context, m *inboxMessage, accepted []ledger.Accepted) {
	for i, a := range accepted {
		switch {
		case a.Err == nil, errors.Is(a.Err, ledger.ErrConflict):
		case errors.Is(a.Err, retention.ErrDeleted):
			in.events.log.Info("a document came again whose job was deleted; it is not run", "beanstalkd", m.delivery.Addr, "message", m.delivery.ID, "err", a.Err)
		default:
			m.refuse(m.at[i], a.Err)
		}
	}
	if fault := m.fault(); fault != nil {
		in.bury(ctx, m, fault)
		return
	}
	if err := m.delivery.Delete(ctx); err != nil {
		// The documents come again and change nothing, because their ids are known.
		in.events.log.Debug("inbox message not deleted", "err", err)
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
func (in *intake) bury(ctx context.Context, m *inboxMessage, fault error) {
	in.events.log.Warn("an inbox message cannot be recorded; it is buried", "beanstalkd", m.delivery.Addr, "message", m.delivery.ID, "err", fault)
	in.events.record(ctx, []eventlog.Event{{
		Kind: "unreadable", Message: fmt.Sprintf("inbox message %d on %s is buried: %v; it begins %q", m.delivery.ID, m.delivery.Addr, fault, m.begin()),
	}})
	if err := m.delivery.Bury(ctx, jobs.DefaultPriority); err != nil {
		in.events.log.Warn("inbox message not buried; it comes again", "err", err)
	}
}

func (in *intake) release(ctx context.Context, batch []*queue.Delivery, cause error) {
	ctx, cancel := context.WithTimeout(ctx, takeTimeout)
	defer cancel()
	in.events.log.Error("the ledger does not record; inbox messages stay where they are", "messages", len(batch), "err", cause)
	for _, delivery := range batch {
		if err := delivery.Return(ctx, retryLater); err != nil {
			in.events.log.Debug("inbox message not released", "err", err)
		}
	}
}
