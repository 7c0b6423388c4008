// Package eventlog is the log of what happened to jobs and nodes.
package eventlog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const maxEvents = 1000 // in one answer

// Log is the event log of a ledger.
type Log struct{ ledger engine.Access }

// New returns the event log of a ledger.
func New(ledger engine.Access) *Log { return &Log{ledger} }

// Note records an event. It fills in a missing ID or At and cuts long texts.
func (l *Log) Note(ctx context.Context, e Event) error { return l.NoteAll(ctx, []Event{e}) }

// NoteAll records several events in one operation.
func (l *Log) NoteAll(ctx context.Context, list []Event) error {
	err := l.ledger.Do(ctx, engine.Op{Name: "note", Weight: len(list), Run: func(t engine.Tx) error {
		cleaned := make([]Event, 0, len(list))
		for _, e := range list {
			cleaned = append(cleaned, e.cleaned(t.Now()))
		}
		return Write(t, cleaned)
	}})
	return engine.Wrap("note", err)
}

var qNoted = engine.NewQuery("SELECT 1 FROM events WHERE job = ? AND kind = ? AND message = ? LIMIT 1")

// NoteOnce is Note for an event that several nodes can find. It records nothing if the job
// has an event of the same kind with the same message.
func (l *Log) NoteOnce(ctx context.Context, e Event) error {
	err := l.ledger.Do(ctx, engine.Op{Name: "note", Weight: 1, Run: func(t engine.Tx) error {
		v := e.cleaned(t.Now())
		var one int
		if noted, err := t.Row(qNoted, []any{v.Job, v.Kind, v.Message}, &one); err != nil || noted {
			return err
		}
		return Write(t, []Event{v})
	}})
	return engine.Wrap("note", err)
}

var (
	qEvents    = engine.NewQuery("SELECT " + eventColumns + " FROM events ORDER BY id DESC LIMIT ?")
	qJobEvents = engine.NewQuery("SELECT " + eventColumns + " FROM events WHERE job = ? ORDER BY id DESC LIMIT ?")
	qAfter     = engine.NewQuery("SELECT " + eventColumns + " FROM events WHERE id > ? ORDER BY id LIMIT ?")
)

// Newest returns the newest events of a job, newest first; at most 1,000, also for limit
// 0. For "" it returns events of all jobs and nodes, without the acceptance and success
// of jobs.
func (l *Log) Newest(ctx context.Context, job string, limit int) (list []Event, err error) {
	defer l.ledger.Observe("events", time.Now(), &err)
	if limit <= 0 || limit > maxEvents {
		limit = maxEvents
	}
	list, err = l.newest(ctx, job, limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: events: %w", err)
	}
	return list[:min(limit, len(list))], nil
}

func (l *Log) newest(ctx context.Context, job string, limit int) (list []Event, err error) {
	q, args := qEvents, []any{limit}
	if job != "" {
		q, args = qJobEvents, []any{job, limit}
	}
	list, err = l.readEvents(ctx, q, args...)
	if err != nil || job == "" {
		return list, err
	}
	rest, err := rowEvents(ctx, l.ledger, job)
	if !slices.ContainsFunc(list, func(e Event) bool { return e.Kind == KindFault }) {
		list = append(list, rest...)
	}
	slices.SortStableFunc(list, func(a, b Event) int { return b.At.Compare(a.At) })
	return list, err
}

// After returns the events written after the one with an id, oldest first; at most
// 1,000, also for limit 0.
func (l *Log) After(ctx context.Context, id string, limit int) (list []Event, err error) {
	defer l.ledger.Observe("events-after", time.Now(), &err)
	if limit <= 0 || limit > maxEvents {
		limit = maxEvents
	}
	list, err = l.readEvents(ctx, qAfter, id, limit)
	return list, engine.Wrap("events", err)
}

func (l *Log) readEvents(ctx context.Context, q *engine.Query, args ...any) (list []Event, err error) {
	err = l.ledger.Each(ctx, q, args, func(r engine.Row) error {
		e, err := scanEvent(r)
		list = append(list, e)
		return err
	})
	return list, err
}
