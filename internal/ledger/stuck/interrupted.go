package stuck

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Interrupted is a job that the restarts of its nodes interrupt again and again.
type Interrupted struct {
	Job     string
	Times   int
	Longest time.Duration // of its interrupted runs
}

var (
	qInterrupted = engine.NewQuery(`SELECT id, interruptions, longest_interrupted FROM jobs WHERE interruptions > 2
		AND state IN ('queued', 'running') ORDER BY interruptions DESC LIMIT 1`)
	qCountInterrupted = engine.NewQuery(`SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE interruptions > 2
		AND state IN ('queued', 'running') LIMIT ?) AS interrupted`)
)

// Interrupted returns the number of jobs that have not ended and that restarts have
// interrupted three times or more, counted up to 1,000, and the one with the most.
func (f *Finder) Interrupted(ctx context.Context) (n int, most Interrupted, err error) {
	var longest int64
	found, err := f.ledger.Row(ctx, qInterrupted, nil, &most.Job, &most.Times, &longest)
	most.Longest = engine.Microseconds(longest)
	if err == nil && found {
		_, err = f.ledger.Row(ctx, qCountInterrupted, []any{maxCounted}, &n)
	}
	return n, most, engine.Wrap("interrupted jobs", err)
}
