package activity

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// rollupMinutes is how many minutes one transaction rolls up.
	rollupMinutes = 30
	// maxRollups is how many transactions one call runs.
	maxRollups    = 100
	keepDurations = 31 * 24 * time.Hour
	day           = 24 * time.Hour
)

// rollInto returns the statement that adds minutes of tallies to steps of one grain and
// axis.
func rollInto(g grain, axis, name string) *engine.Query {
	step := g.step().Microseconds()
	return engine.NewQuery(fmt.Sprintf(`INSERT INTO activity (grain, axis, at, name, state, class, n, run_us, cpu_us, wait_us)
		SELECT %d, '%s', at - at %% %d, %s, state, class, SUM(n), SUM(run_us), SUM(cpu_us), SUM(wait_us) FROM tallies
		WHERE at >= ? AND at <= ? AND at <> ? GROUP BY at - at %% %d, %s, state, class
		ON CONFLICT (grain, axis, at, name, state, class) DO UPDATE SET n = activity.n + excluded.n,
		run_us = activity.run_us + excluded.run_us, cpu_us = activity.cpu_us + excluded.cpu_us,
		wait_us = activity.wait_us + excluded.wait_us`, g.seconds, axis, step, name, step, name))
}

var (
	rollInsert = func() (list []*engine.Query) {
		for _, g := range grains {
			list = append(list, rollInto(g, "n", "node"), rollInto(g, "p", "program"))
		}
		return append(list, engine.NewQuery(fmt.Sprintf(`INSERT INTO durations (program, at, bin, n, run_us)
			SELECT program, at - at %% %d, bin, SUM(n), SUM(run_us) FROM tallies
			WHERE at >= ? AND at <= ? AND at <> ? AND bin >= 0 GROUP BY program, at - at %% %d, bin
			ON CONFLICT (program, at, bin) DO UPDATE SET n = durations.n + excluded.n,
			run_us = durations.run_us + excluded.run_us`, day.Microseconds(), day.Microseconds())))
	}()
	qRolled  = engine.NewQuery("DELETE FROM tallies WHERE at >= ? AND at <= ? AND at <> ?")
	qMinutes = engine.NewQuery(`SELECT MIN(at), MAX(at) FROM (SELECT DISTINCT at FROM tallies WHERE at <> ? ORDER BY at LIMIT ?) AS minutes`)

	qOldestActivity  = engine.NewQuery("SELECT at FROM activity WHERE grain = ? AND axis = ? ORDER BY at LIMIT 1")
	qPruneActivity   = engine.NewQuery("DELETE FROM activity WHERE grain = ? AND axis = ? AND at < ?")
	qOldestDepth     = engine.NewQuery("SELECT at FROM depths WHERE grain = ? ORDER BY at LIMIT 1")
	qPruneDepths     = engine.NewQuery("DELETE FROM depths WHERE grain = ? AND at < ?")
	qOldestDurations = engine.NewQuery("SELECT at FROM durations ORDER BY at LIMIT 1")
	qPruneDurations  = engine.NewQuery("DELETE FROM durations WHERE at < ?")
)

// Rollup adds the counters of past minutes to those of longer steps. It does nothing if
// another process has done it.
func (c *Counters) Rollup(ctx context.Context) (err error) {
	for range maxRollups {
		more := false
		if more, err = c.rollMinutes(ctx); err != nil || !more {
			break
		}
	}
	return err
}

// rollMinutes moves the oldest minutes. It also moves rows of future minutes, from a
// clock that was ahead. Ends counted later in such a minute are added at the next call.
func (c *Counters) rollMinutes(ctx context.Context) (more bool, err error) {
	var first, last sql.NullInt64
	now := minute(c.ledger.Now())
	_, err = c.ledger.Row(ctx, qMinutes, []any{now, rollupMinutes}, &first, &last)
	if err != nil || !first.Valid {
		return false, err
	}
	return true, c.ledger.Rollup(ctx, append(slices.Clone(rollInsert), qRolled), first.Int64, last.Int64, now)
}

// Prune deletes counters that are too old.
func (c *Counters) Prune(ctx context.Context) error { return c.ledger.Prune(ctx, oldTables()) }

func oldTables() (list []engine.Old) {
	for _, g := range grains {
		list = append(list,
			engine.Old{Oldest: qOldestActivity, Delete: qPruneActivity, Key: []any{g.seconds, "n"}, Keep: g.keep, Step: g.step()},
			engine.Old{Oldest: qOldestActivity, Delete: qPruneActivity, Key: []any{g.seconds, "p"}, Keep: g.keep, Step: g.step()},
			engine.Old{Oldest: qOldestDepth, Delete: qPruneDepths, Key: []any{g.seconds}, Keep: g.keep, Step: g.step()})
	}
	return append(list, engine.Old{Oldest: qOldestDurations, Delete: qPruneDurations, Keep: keepDurations, Step: day})
}
