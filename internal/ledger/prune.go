package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Rollup adds the counters of minutes that are over to those of longer steps, and
// deletes what is too old. It is to be called about once a minute; it does nothing
// where another process has done it, and a clock that jumps costs nothing.
func (l *Ledger) Rollup(ctx context.Context) (err error) {
	defer l.watch("rollup", time.Now(), &err)
	err = l.Activity.Rollup(ctx)
	if err == nil {
		err = l.Activity.Prune(ctx)
	}
	if err == nil {
		err = l.access().Prune(ctx, []engine.Old{
			{Oldest: qOldestHook, Delete: qPruneHooks, Keep: keepHooks, Step: 24 * time.Hour},
			{Oldest: qOldestReplay, Delete: qPruneReplays, Keep: KeepReplays, Step: time.Hour},
		})
	}
	if err == nil {
		err = l.pruneReplays(ctx)
	}
	if err != nil {
		return fmt.Errorf("ledger: rollup: %w", err)
	}
	return nil
}

// pruneReplays keeps the newest answers where there are too many.
func (l *Ledger) pruneReplays(ctx context.Context) error {
	var past int64
	many, err := l.reader.Row(ctx, qReplayPast, []any{maxReplays}, &past)
	if err != nil || !many {
		return err
	}
	return l.access().Rollup(ctx, []*engine.Query{qPruneReplays}, past+1)
}
