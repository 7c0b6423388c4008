package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/jobs"
)

const defaultRecover = 256

var (
	qLostOfNode = newQuery(`SELECT id, attempt, instance, node, crashes FROM jobs
		WHERE state = 'running' AND node = ? AND instance <> ? LIMIT ?`)
	qLostByBeat = newQuery(`SELECT jobs.id, jobs.attempt, jobs.instance, jobs.node, jobs.crashes FROM jobs
		LEFT JOIN nodes ON nodes.instance = jobs.instance
		WHERE jobs.state = 'running' AND COALESCE(nodes.beat, jobs.started) < ? LIMIT ?`)
)

// lost is a running job whose instance is dead.
type lost struct {
	id             string
	attempt        int
	instance, node string
	crashes        int
}

// Recover ends the attempts of dead instances as lost: their jobs are queued
// again at once, or failed at CrashLimit, or cancelled where that was asked for.
func (l *Ledger) Recover(ctx context.Context, scope RecoverScope) ([]Recovered, error) {
	if scope.Limit <= 0 {
		scope.Limit = defaultRecover
	}
	list, err := l.recover(ctx, scope)
	if err != nil {
		return nil, fmt.Errorf("ledger: recover: %w", err)
	}
	return list, nil
}

// recover looks first and writes only where there is something to do.
func (l *Ledger) recover(ctx context.Context, scope RecoverScope) (done []Recovered, err error) {
	list, err := l.lost(ctx, scope)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	err = l.do(ctx, &op{weight: len(list), run: func(t *txn) error {
		done = nil
		for i := range list {
			r, ok, err := t.lose(&list[i], scope)
			if err != nil {
				return err
			}
			if ok {
				done = append(done, r)
			}
		}
		return nil
	}})
	return done, err
}

func (l *Ledger) lost(ctx context.Context, scope RecoverScope) (list []lost, err error) {
	q, args := qLostOfNode, []any{scope.Node, scope.Except, scope.Limit}
	if scope.Node == "" {
		q, args = qLostByBeat, []any{micros(l.now().Add(-l.lease)), scope.Limit}
	}
	err = l.reader.each(ctx, q, args, func(r *sql.Rows) error {
		var j lost
		err := r.Scan(&j.id, &j.attempt, &j.instance, &j.node, &j.crashes)
		list = append(list, j)
		return err
	})
	return list, err
}

// lose ends one attempt as lost, unless it has ended or come alive meanwhile.
func (t *txn) lose(j *lost, scope RecoverScope) (Recovered, bool, error) {
	if scope.Node == "" {
		if alive, err := t.alive(j.instance); err != nil || alive {
			return Recovered{}, false, err
		}
	}
	e := Ending{
		Outcome: jobs.OutcomeLost, State: jobs.Queued, ExitCode: -1, Reason: "its node died",
		Error: &jobs.Error{Class: jobs.OutcomeLost, Message: "node " + j.node + " died while it ran the job"},
	}
	r, err := t.running(j.id, j.attempt)
	if err == nil && !r.cancel && j.crashes+1 >= CrashLimit {
		e.State, e.Reason = jobs.Failed, ""
		e.Error.Message += fmt.Sprintf("; %d attempts were lost", j.crashes+1)
	}
	if err == nil {
		_, err = t.finish(j.id, j.attempt, &e)
	}
	if errors.Is(err, ErrStale) || errors.Is(err, ErrUnknown) {
		return Recovered{}, false, nil
	}
	return Recovered{ID: j.id, State: e.State}, err == nil, err
}
