package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// The kinds of the events that the ledger writes by itself.
const (
	KindAccepted        = "accepted"
	KindConflict        = "conflict" // a known id came with another document
	KindFault           = "fault"    // the document has a fault
	KindReleased        = "released" // all that it waited for has succeeded
	KindRetrying        = "retrying"
	KindInterrupted     = "interrupted"
	KindLost            = "lost"
	KindExpired         = "expired"
	KindCancelRequested = "cancel-requested"
	KindCancelled       = "cancelled"
	KindRetried         = "retried" // by a person
	KindReset           = "reset"
	KindDrained         = "drained"
	KindUndrained       = "undrained"
	KindPaused          = "paused"
	KindResumed         = "resumed"
	KindSlots           = "slots"
	KindHookGivenUp     = "webhook-given-up"
	KindDeliveryGivenUp = "delivery-given-up"
	KindFailed          = "failed"
	KindSucceeded       = "succeeded"
)

const maxEvents = 1000 // in one answer

// note stages an event of the current operation.
func (t *txn) note(kind, job, node, message string) { t.Note("", kind, job, node, message) }

// Note is note for what a person has asked for.
func (t *txn) Note(by, kind, job, node, message string) {
	t.staged.events = append(t.staged.events, Event{Kind: kind, Job: job, Node: node, By: by, Message: message, At: t.now})
}

var qNote = engine.NewManyRows("INSERT INTO events (id, at, kind, job, node, asker, message) VALUES ", 7, " ON CONFLICT (id) DO NOTHING")

// writeEvents writes the events of all operations with few statements.
func (t *txn) writeEvents() error {
	list := t.all.events
	if len(list) == 0 {
		return nil
	}
	var newest string
	if _, err := t.Row(qNewestEvent, nil, &newest); err != nil {
		return err
	}
	for i := range list {
		if e := &list[i]; e.ID == "" {
			e.ID = nextEventID(newest, e.At)
			newest = e.ID
		}
	}
	return qNote.Split(len(list), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, 7*(to-from))
		for _, e := range list[from:to] {
			args = append(args, e.ID, engine.Micros(e.At), e.Kind, e.Job, e.Node, e.By, engine.Clean(e.Message, engine.MaxReason))
		}
		_, err := t.w.Exec(q, args...)
		return err
	})
}

// Note records an event. ID and At are filled in where they are missing; long
// texts are cut.
func (l *Ledger) Note(ctx context.Context, e Event) error { return l.NoteAll(ctx, []Event{e}) }

// NoteAll is Note for several events at the price of one.
func (l *Ledger) NoteAll(ctx context.Context, list []Event) error {
	err := l.do(ctx, &op{name: "note", weight: len(list), run: func(t *txn) error {
		for _, e := range list {
			v := Event{
				ID: engine.Clean(e.ID, engine.MaxID), At: e.At, Kind: engine.Clean(e.Kind, engine.MaxName), Job: engine.Clean(e.Job, engine.MaxID),
				Node: engine.Clean(e.Node, engine.MaxName), By: engine.Clean(e.By, engine.MaxName), Message: e.Message,
			}
			if v.At.IsZero() {
				v.At = t.now
			}
			t.staged.events = append(t.staged.events, v)
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("ledger: note: %w", err)
	}
	return nil
}

const eventColumns = "id, at, kind, job, node, asker, message"

func scanEvent(r engine.Row) (e Event, err error) {
	var at int64
	err = r.Scan(&e.ID, &at, &e.Kind, &e.Job, &e.Node, &e.By, &e.Message)
	e.At = engine.FromMicros(at)
	return e, err
}

var (
	qEvents    = engine.NewQuery("SELECT " + eventColumns + " FROM events ORDER BY id DESC LIMIT ?")
	qJobEvents = engine.NewQuery("SELECT " + eventColumns + " FROM events WHERE job = ? ORDER BY id DESC LIMIT ?")
	qRowEvents = engine.NewQuery("SELECT accepted, state, finished, attempt, node, submitter FROM jobs WHERE id = ?")
)

// Events lists the newest events of a job, newest first; at most 1000, which is
// also what 0 stands for. For "" it lists those of all jobs and of none, but
// leaves out what every good job does: that it was accepted and succeeded.
func (l *Ledger) Events(ctx context.Context, job string, limit int) (list []Event, err error) {
	defer l.watch("events", time.Now(), &err)
	if limit <= 0 || limit > maxEvents {
		limit = maxEvents
	}
	list, err = l.events(ctx, job, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: events: %w", err)
	}
	return list[:min(limit, len(list))], nil
}

func (l *Ledger) events(ctx context.Context, job string, limit int) (list []Event, err error) {
	q, args := qEvents, []any{limit}
	if job != "" {
		q, args = qJobEvents, []any{job, limit}
	}
	list, err = l.readEvents(ctx, q, args...)
	if err != nil || job == "" {
		return list, err
	}
	rest, err := l.rowEvents(ctx, job)
	if !slices.ContainsFunc(list, func(e Event) bool { return e.Kind == KindFault }) {
		list = append(list, rest...)
	}
	slices.SortStableFunc(list, func(a, b Event) int { return b.At.Compare(a.At) })
	return list, err
}

// rowEvents are the events of a job that its row tells, newest first.
func (l *Ledger) rowEvents(ctx context.Context, job string) (list []Event, err error) {
	var accepted, finished int64
	var state jobs.State
	var attempt int
	var node, submitter string
	found, err := l.reader.Row(ctx, qRowEvents, []any{job}, &accepted, (*string)(&state), &finished, &attempt, &node, &submitter)
	if err != nil || !found {
		return nil, err
	}
	if state == jobs.Succeeded {
		message := fmt.Sprintf("attempt %d: succeeded", attempt)
		list = append(list, rowEvent(Event{At: engine.FromMicros(finished), Kind: KindSucceeded, Job: job, Node: node, Message: message}))
	}
	return append(list, rowEvent(Event{At: engine.FromMicros(accepted), Kind: KindAccepted, Job: job, By: submitter})), nil
}

// rowEvent gives an event the same id each time that it is read.
func rowEvent(e Event) Event {
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(e.Job+" "+e.Kind))
	binary.BigEndian.PutUint64(id[:8], uint64(e.At.UnixMilli())<<16|uint64(id[6]&0x0f)<<8|uint64(id[7])|0x7000)
	e.ID = id.String()
	return e
}
