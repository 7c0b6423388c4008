package live

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/runnerbean/runnerbean/api"
)

const (
	// eventOverlap is how much later than the time in its id an event may be seen.
	eventOverlap = 5 * time.Second
	// eventBatch and eventBatches bound how many events are read at once.
	eventBatch, eventBatches = 1000, 8
)

// eventWindow says which events have been sent: all up to the id from, and those in
// seen.
type eventWindow struct {
	from string
	seen map[string]bool // nil before the first reading
}

func (w *eventWindow) had(id string) bool { return id <= w.from || w.seen[id] }

// newest returns the id of the newest event that was sent.
func (w *eventWindow) newest() string {
	newest := w.from
	for id := range w.seen {
		newest = max(newest, id)
	}
	return newest
}

// move lets the window begin at from.
func (w *eventWindow) move(from string) {
	if from <= w.from {
		return
	}
	w.from = from
	maps.DeleteFunc(w.seen, func(id string, _ bool) bool { return id <= from })
}

// read returns the events in and after the window that have not been sent.
func (w *eventWindow) read(ctx context.Context, now time.Time, source Source) (fresh []api.Event, err error) {
	if w.seen == nil {
		w.seen, w.from = map[string]bool{}, idAt(now.Add(-eventOverlap))
	}
	after := w.from
	for range eventBatches {
		list, err := source.EventsAfter(ctx, after, eventBatch)
		if err != nil {
			return fresh, err
		}
		for _, e := range list {
			if !w.had(e.ID) {
				w.seen[e.ID] = true
				fresh = append(fresh, e)
			}
			after = e.ID
		}
		if len(list) < eventBatch {
			w.move(idAt(now.Add(-eventOverlap)))
			return fresh, nil
		}
	}
	w.move(after) // with so many events at once, a late one may be missed
	return fresh, nil
}

// idAt returns an id below all UUIDs of version 7 that are made at t or later.
func idAt(t time.Time) string {
	ms := max(t.UnixMilli(), 0)
	return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", ms>>16, ms&0xffff)
}
