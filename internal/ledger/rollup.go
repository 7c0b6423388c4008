package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// rollupMinutes is how many minutes of counters one transaction rolls up.
	rollupMinutes = 30
	// maxRollups is how many of them follow one another in one call.
	maxRollups = 100
	// pruneSteps is how many steps of old counters one call deletes, so that a
	// clock that is years ahead for a while does not cost all of them.
	pruneSteps    = 60
	keepDurations = 31 * 24 * time.Hour
	day           = 24 * time.Hour
)

// rollInto adds minutes of tallies to steps of one grain and axis.
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

// Rollup adds the counters of minutes that are over to those of longer steps, and
// deletes what is too old. It is to be called about once a minute; it does nothing
// where another process has done it, and a clock that jumps costs nothing.
func (l *Ledger) Rollup(ctx context.Context) (err error) {
	defer l.watch("rollup", time.Now(), &err)
	for range maxRollups {
		more := false
		if more, err = l.rollMinutes(ctx); err != nil || !more {
			break
		}
	}
	if err == nil {
		err = l.prune(ctx)
	}
	if err != nil {
		return fmt.Errorf("ledger: rollup: %w", err)
	}
	return nil
}

// rollMinutes moves some minutes. Rows of minutes that are to come, by a clock
// that was ahead, are moved as well; what is counted in a minute that was moved
// already is added to it with the next call.
func (l *Ledger) rollMinutes(ctx context.Context) (more bool, err error) {
	var first, last sql.NullInt64
	now := minute(l.now())
	_, err = l.reader.Row(ctx, qMinutes, []any{now, rollupMinutes}, &first, &last)
	if err != nil || !first.Valid {
		return false, err
	}
	return true, l.do(ctx, &op{name: "rollup", weight: maxSettled, soft: true, run: func(t *txn) error {
		for _, q := range slices.Concat(rollInsert, []*engine.Query{qRolled}) {
			if _, err := t.Exec(q, first.Int64, last.Int64, now); err != nil {
				return err
			}
		}
		return nil
	}})
}

// old is a table whose rows are pruned.
type old struct {
	oldest, delete *engine.Query
	key            []any
	keep, step     time.Duration
}

func oldTables() (list []old) {
	for _, g := range grains {
		list = append(list,
			old{qOldestActivity, qPruneActivity, []any{g.seconds, "n"}, g.keep, g.step()},
			old{qOldestActivity, qPruneActivity, []any{g.seconds, "p"}, g.keep, g.step()},
			old{qOldestDepth, qPruneDepths, []any{g.seconds}, g.keep, g.step()})
	}
	return append(list, old{qOldestDurations, qPruneDurations, nil, keepDurations, day},
		old{qOldestHook, qPruneHooks, nil, keepHooks, day}, old{qOldestReplay, qPruneReplays, nil, KeepReplays, time.Hour})
}

// prune looks first and writes only where there is something to delete.
func (l *Ledger) prune(ctx context.Context) error {
	now := l.now()
	for _, o := range oldTables() {
		var oldest int64
		found, err := l.reader.Row(ctx, o.oldest, o.key, &oldest)
		limit := now.Add(-o.keep)
		if err != nil {
			return err
		}
		if !found || oldest >= engine.Micros(limit) {
			continue
		}
		until := min(engine.Micros(limit), oldest+pruneSteps*o.step.Microseconds())
		if err := l.delete(ctx, o.delete, append(slices.Clone(o.key), until)...); err != nil {
			return err
		}
	}
	return l.pruneReplays(ctx)
}

// pruneReplays keeps the newest answers where there are too many.
func (l *Ledger) pruneReplays(ctx context.Context) error {
	var past int64
	many, err := l.reader.Row(ctx, qReplayPast, []any{maxReplays}, &past)
	if err != nil || !many {
		return err
	}
	return l.delete(ctx, qPruneReplays, past+1)
}

func (l *Ledger) delete(ctx context.Context, q *engine.Query, args ...any) error {
	return l.do(ctx, &op{name: "rollup", weight: maxSettled, soft: true, run: func(t *txn) error {
		_, err := t.Exec(q, args...)
		return err
	}})
}
