package node

import (
	"context"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

const (
	sampleInterval = 15 * time.Second
	rollupInterval = time.Minute
	rollupTimeout  = 10 * time.Second
)

// rollupLoop records the length of the queue every 15 seconds, and every minute adds
// the counters of minutes to those of longer times.
type rollupLoop struct {
	ledger *ledger.Ledger
	node   string
	log    *slog.Logger
}

// run returns when ctx ends.
func (l rollupLoop) run(ctx context.Context) error {
	samples, rollups := time.NewTicker(sampleInterval), time.NewTicker(rollupInterval)
	defer samples.Stop()
	defer rollups.Stop()
	sample := func() { l.try(ctx, "cannot record the length of the queue", l.ledger.Activity.SampleDepth) }
	sample()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-samples.C:
			sample()
		case <-rollups.C:
			l.try(ctx, "cannot roll up the counters; the next attempt catches up", l.ledger.Rollup)
		}
	}
}

func (l rollupLoop) try(ctx context.Context, failure string, do func(context.Context) error) {
	bounded, cancel := context.WithTimeout(ctx, rollupTimeout)
	defer cancel()
	if err := do(bounded); err != nil && ctx.Err() == nil {
		l.log.Warn(failure, "node", l.node, "err", err)
	}
}
