// Package states reads the states of jobs, also of deleted ones.
package states

import (
	"slices"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
)

var (
	qState  = engine.NewQuery("SELECT state FROM jobs WHERE id = ?")
	qStates = engine.NewManyRows("SELECT id, state FROM jobs WHERE id IN (", 0, ")")
)

// Of returns the state of a job, or "" for a job that the ledger never held. A deleted job has
// the state that it had: its end counts for the jobs that need it.
func Of(t engine.Tx, id string) (s jobs.State, err error) {
	found, err := t.Row(qState, []any{id}, (*string)(&s))
	if err != nil || found {
		return s, err
	}
	d, err := retention.Find(t, id)
	if d != nil {
		s = d.State
	}
	return s, err
}

// OfAll returns the states of jobs by their ids, as Of does. Those that the ledger never held
// are not in it.
func OfAll(t engine.Tx, ids []string) (map[string]jobs.State, error) {
	states := make(map[string]jobs.State, len(ids))
	err := qStates.Each(ids, t.Each, func(row engine.Row) error {
		var id string
		var state jobs.State
		err := row.Scan(&id, (*string)(&state))
		states[id] = state
		return err
	})
	if err != nil || len(states) == len(ids) {
		return states, err
	}
	absent := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return states[id] != "" })
	return states, retention.States(t, absent, states)
}
