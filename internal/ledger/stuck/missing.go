package stuck

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// MissingAfter is how long a need may be missing before it is told of. Jobs of a graph
	// may come in any order.
	MissingAfter = 10 * time.Minute
	maxCounted   = 1000
)

// MissingNeed is a need that nobody has put since a job named it.
type MissingNeed struct {
	Job, Need string
	Since     time.Time
}

var (
	qMissing = engine.NewQuery(`SELECT job, need, missing_since FROM needs WHERE missing_since > 0 AND missing_since <= ?
		ORDER BY missing_since LIMIT 1`)
	qCountMissing = engine.NewQuery(`SELECT COUNT(*) FROM (SELECT 1 FROM needs WHERE missing_since > 0 AND missing_since <= ?
		LIMIT ?) AS missing`)
	qMissingOf = engine.NewQuery(`SELECT job, need, missing_since FROM needs WHERE job = ? AND missing_since > 0
		AND missing_since <= ? ORDER BY missing_since LIMIT 1`)
)

// Missing returns the number of needs that have been missing for MissingAfter, counted up to
// 1,000, and the one that has been missing for the longest.
func (f *Finder) Missing(ctx context.Context) (n int, oldest MissingNeed, err error) {
	until := f.until()
	found, oldest, err := f.missing(ctx, qMissing, until)
	if err == nil && found {
		_, err = f.ledger.Row(ctx, qCountMissing, []any{until, maxCounted}, &n)
	}
	return n, oldest, engine.Wrap("missing needs", err)
}

// MissingOf returns the need of a job that has been missing for the longest, if that is
// MissingAfter or more.
func (f *Finder) MissingOf(ctx context.Context, job string) (need MissingNeed, found bool, err error) {
	found, need, err = f.missing(ctx, qMissingOf, job, f.until())
	return need, found, engine.Wrap("missing needs", err)
}

func (f *Finder) until() int64 { return engine.Micros(f.ledger.Now().Add(-MissingAfter)) }

func (f *Finder) missing(ctx context.Context, q *engine.Query, args ...any) (found bool, need MissingNeed, err error) {
	var since int64
	found, err = f.ledger.Row(ctx, q, args, &need.Job, &need.Need, &since)
	need.Since = engine.FromMicros(since)
	return found, need, err
}
