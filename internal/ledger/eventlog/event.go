package eventlog

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Event is one thing that happened to a job or node.
type Event struct {
	ID      string // UUIDv7, so that ids sort by time
	At      time.Time
	Kind    string // such as accepted, retried, lost, cancelled, conflict
	Job     string
	Node    string
	By      string // the person who caused it, or ""
	Message string
}

// cleaned returns the event with its texts cut to what the ledger holds. Now is its time
// if it has none.
func (e Event) cleaned(now time.Time) Event {
	v := Event{
		ID: engine.Clean(e.ID, engine.MaxID), At: e.At, Kind: engine.Clean(e.Kind, engine.MaxName), Job: engine.Clean(e.Job, engine.MaxID),
		Node: engine.Clean(e.Node, engine.MaxName), By: engine.Clean(e.By, engine.MaxName), Message: engine.Clean(e.Message, engine.MaxReason),
	}
	if v.At.IsZero() {
		v.At = now
	}
	return v
}

const eventColumns = "id, at, kind, job, node, asker, message"

func scanEvent(r engine.Row) (e Event, err error) {
	var at int64
	err = r.Scan(&e.ID, &at, &e.Kind, &e.Job, &e.Node, &e.By, &e.Message)
	e.At = engine.FromMicros(at)
	return e, err
}

var qNote = engine.NewManyRows("INSERT INTO events (id, at, kind, job, node, asker, message) VALUES ", 7, " ON CONFLICT (id) DO NOTHING")

// Write writes events in the order of list and fills in missing ids.
func Write(t engine.Tx, list []Event) error {
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
		return t.Queue(q, args...)
	})
}
