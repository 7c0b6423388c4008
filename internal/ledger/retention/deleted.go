package retention

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Remembered is how long the ids of deleted jobs are remembered.
const Remembered = 2 * 365 * 24 * time.Hour

// maxDeleted limits the ids in one answer.
const maxDeleted = 1000

const deletedColumns = "id, program, state, at"

var (
	qDeleted      = engine.NewQuery("SELECT " + deletedColumns + " FROM deleted WHERE id = ?")
	qStates       = engine.NewManyRows("SELECT id, state FROM deleted WHERE id IN (", 0, ")")
	qDeletedAfter = engine.NewQuery("SELECT number, id FROM deleted WHERE number > ? ORDER BY number LIMIT ?")
	qOldest       = engine.NewQuery("SELECT number FROM deleted ORDER BY number LIMIT 1")
	// The objects of a job whose id is forgotten must not be found any more.
	qForget = engine.NewQuery(`DELETE FROM deleted WHERE id IN (SELECT id FROM deleted WHERE number < ? ORDER BY number LIMIT 10000)
		AND NOT EXISTS (SELECT 1 FROM removals WHERE removals.job = deleted.id)`)
)

// Find returns the deleted job with an id, or nil.
func Find(t engine.Tx, id string) (*Deleted, error) {
	var d Deleted
	var at int64
	found, err := t.Row(qDeleted, []any{id}, d.dest(&at)...)
	return d.found(found, at), err
}

// Find returns the deleted job with an id, or nil.
func (r *Retention) Find(ctx context.Context, id string) (*Deleted, error) {
	var d Deleted
	var at int64
	found, err := r.ledger.Row(ctx, qDeleted, []any{id}, d.dest(&at)...)
	return d.found(found, at), engine.Wrap("deleted", err)
}

func (d *Deleted) dest(at *int64) []any { return []any{&d.ID, &d.Program, (*string)(&d.State), at} }

func (d *Deleted) found(found bool, at int64) *Deleted {
	if !found {
		return nil
	}
	d.At = engine.FromMicros(at)
	return d
}

// States adds the states at the end of deleted jobs to states. Other ids are left out.
func States(t engine.Tx, ids []string, states map[string]jobs.State) error {
	return qStates.Each(ids, t.Each, func(row engine.Row) error {
		var id string
		var state jobs.State
		err := row.Scan(&id, (*string)(&state))
		states[id] = state
		return err
	})
}

// After returns the ids of jobs deleted after a number, at most 1,000, and the number of
// the last. With a negative number it returns no ids and the number of the newest.
func (r *Retention) After(ctx context.Context, number int64) (ids []string, last int64, err error) {
	if number < 0 {
		_, err = r.ledger.Row(ctx, qNumber, nil, &last)
		return nil, last, engine.Wrap("deleted", err)
	}
	last = number
	err = r.ledger.Each(ctx, qDeletedAfter, []any{number, maxDeleted}, func(row engine.Row) error {
		var id string
		err := row.Scan(&last, &id)
		ids = append(ids, id)
		return err
	})
	return ids, last, engine.Wrap("deleted", err)
}

// Prune forgets the ids of jobs that were deleted two years ago.
func (r *Retention) Prune(ctx context.Context) error {
	return r.ledger.Prune(ctx, []engine.Old{{Oldest: qOldest, Delete: qForget, Keep: Remembered, Step: 24 * time.Hour}})
}
