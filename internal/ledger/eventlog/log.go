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
			v := Event{
				ID: engine.Clean(e.ID, engine.MaxID), At: e.At, Kind: engine.Clean(e.Kind, engine.MaxName), Job: engine.Clean(e.Job, engine.MaxID),
				Node: engine.Clean(e.Node, engine.MaxName), By: engine.Clean(e.By, engine.MaxName), Message: e.Message,
			}
			if v.At.IsZero() {
				v.At = t.Now()
			}
			cleaned = append(cleaned, v)
		}
		return Write(t, cleaned)
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
