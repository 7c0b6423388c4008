package retention

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Removal is a deleted job whose objects are still to be removed from the store.
type Removal struct {
	Job      string
	Attempts int // number of its newest attempt
}

// MaxRemovals limits the jobs in one answer of Removals.
const MaxRemovals = 1000

var (
	qRemovals = engine.NewQuery("SELECT job, attempts FROM removals WHERE job > ? ORDER BY job LIMIT ?")
	qRemoved  = engine.NewManyRows("DELETE FROM removals WHERE job IN (", 0, ")")
)

// Removals returns the removals of jobs after one, in the order of their ids, at most
// 1,000. The first job comes after "".
func (r *Retention) Removals(ctx context.Context, job string) (list []Removal, err error) {
	err = r.ledger.Each(ctx, qRemovals, []any{job, MaxRemovals}, func(row engine.Row) error {
		var v Removal
		err := row.Scan(&v.Job, &v.Attempts)
		list = append(list, v)
		return err
	})
	return list, engine.Wrap("removals", err)
}

// Removed records that the store has no objects of jobs any more. It is not synced to
// the disk: what is asked to be removed twice is removed once.
func (r *Retention) Removed(ctx context.Context, list []Removal) error {
	err := r.ledger.Do(ctx, engine.Op{Name: "removed", Weight: len(list), Soft: true, Run: func(t engine.Tx) error {
		return qRemoved.Split(len(list), func(q *engine.Query, from, to int) error {
			args := make([]any, 0, to-from)
			for _, v := range list[from:to] {
				args = append(args, v.Job)
			}
			_, err := t.Exec(q, args...)
			return err
		})
	}})
	return engine.Wrap("removed", err)
}
