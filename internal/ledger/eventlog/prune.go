package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// Keep is how long events are kept that belong to no job. Those of a job are deleted
	// with it.
	Keep = 400 * 24 * time.Hour
	// maxPruned limits the events that one call deletes.
	maxPruned = 1000
)

var (
	qOldWithoutJob = engine.NewQuery("SELECT 1 FROM events WHERE job = '' AND id < ? LIMIT 1")
	qOldDeleted    = engine.NewQuery("SELECT 1 FROM events WHERE kind = '" + KindDeleted + "' AND at < ? LIMIT 1")
	// Ids sort by time, so that the index of jobs finds old events of no job.
	qPruneWithoutJob = engine.NewQuery("DELETE FROM events WHERE id IN (SELECT id FROM events WHERE job = '' AND id < ? ORDER BY id LIMIT ?)")
	qPruneDeleted    = engine.NewQuery("DELETE FROM events WHERE id IN (SELECT id FROM events WHERE kind = '" + KindDeleted + "' AND at < ? ORDER BY at LIMIT ?)")
)

// Prune deletes events that are older than Keep: those of nodes and of the queue, and
// those that tell of deleted jobs. One call deletes at most 2,000.
func (l *Log) Prune(ctx context.Context) error {
	limit := l.ledger.Now().Add(-Keep)
	for _, p := range []struct {
		any, prune *engine.Query
		limit      any
	}{
		{qOldWithoutJob, qPruneWithoutJob, idAt(limit)},
		{qOldDeleted, qPruneDeleted, engine.Micros(limit)},
	} {
		var one int
		old, err := l.ledger.Row(ctx, p.any, []any{p.limit}, &one)
		if err == nil && old {
			err = l.ledger.Rollup(ctx, []*engine.Query{p.prune}, p.limit, maxPruned)
		}
		if err != nil {
			return fmt.Errorf("prune events: %w", err)
		}
	}
	return nil
}

// idAt returns a text before the ids of all events from a time on.
func idAt(t time.Time) string {
	hex := fmt.Sprintf("%012x", max(0, t.UnixMilli()))
	return hex[:8] + "-" + hex[8:]
}
