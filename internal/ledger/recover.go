package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Recovered is a job of a dead instance after Recover.
type Recovered struct {
	ID    string
	State jobs.State // queued, failed at QuarantineLimit, or cancelled if requested
}

var qLostBy = engine.NewQuery(`SELECT id, attempt, instance, node FROM jobs
		WHERE state = 'running' AND instance = ? LIMIT ?`)

// lost is a running job whose instance is dead.
type lost struct {
	id             string
	attempt        int
	instance, node string
}

// Recover ends the attempts of dead instances as lost. Their jobs are queued again at
// once, or fail at QuarantineLimit, or are cancelled if that was requested. Call it
// often, because it also observes the heartbeats. limit bounds the jobs of one call; 0
// means 256.
func (l *Ledger) Recover(ctx context.Context, limit int) ([]Recovered, error) {
	if limit <= 0 {
		limit = 256
	}
	list, err := l.recover(ctx, limit)
	if err != nil {
		return nil, engine.Wrap("recover", err)
	}
	return list, nil
}

// recover reads first and writes only if there is something to do.
func (l *Ledger) recover(ctx context.Context, limit int) (done []Recovered, err error) {
	list, err := l.lostJobs(ctx, limit)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	err = separately(list, func(list []lost) error {
		some, err := l.loseAll(ctx, list)
		done = append(done, some...)
		return err
	})
	return done, err
}

func (l *Ledger) loseAll(ctx context.Context, list []lost) (done []Recovered, err error) {
	err = l.do(ctx, &op{name: "recover", weight: len(list), run: func(t *txn) error {
		done = nil
		for i := range list {
			r, ok, err := list[i].end(t)
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

func (l *Ledger) lostJobs(ctx context.Context, limit int) (list []lost, err error) {
	dead, err := l.Nodes.Dead(ctx)
	for _, instance := range dead {
		if err != nil || len(list) >= limit {
			break
		}
		err = l.reader.Each(ctx, qLostBy, []any{instance, limit - len(list)}, func(r engine.Row) error {
			var j lost
			err := r.Scan(&j.id, &j.attempt, &j.instance, &j.node)
			list = append(list, j)
			return err
		})
	}
	return list, err
}

// end ends one attempt as lost, unless it has ended or its instance is alive again.
func (j *lost) end(t *txn) (Recovered, bool, error) {
	if alive, err := t.nodes.Alive(t, j.instance); err != nil || alive {
		return Recovered{}, false, err
	}
	e := Ending{
		Outcome: jobs.OutcomeLost, State: jobs.Queued, ExitCode: -1, Reason: "its node died",
		Error: &jobs.Error{Class: jobs.OutcomeLost, Message: "node " + j.node + " died while it ran the job"},
	}
	r, err := t.running(j.id, j.attempt)
	if r.program == jobs.BatchProgram { // it does nothing that could end a node
		e.Outcome, e.Error = jobs.OutcomeInterrupted, &jobs.Error{Class: jobs.OutcomeInterrupted, Message: e.Error.Message}
	}
	if r.quarantined {
		e.Error.Message += " with nothing beside it"
	}
	if r.quarantined && r.requested == 0 && r.alone+1 >= QuarantineLimit {
		e.State, e.Reason = jobs.Failed, ""
		e.Error.Message += fmt.Sprintf("; it was lost %d times beside other jobs and %d times alone: it seems to end the nodes that run it",
			r.crashes-r.alone, r.alone+1)
	}
	if err == nil {
		_, err = t.finish(j.id, j.attempt, &e)
	}
	if errors.Is(err, ErrStale) || errors.Is(err, ErrUnknown) {
		return Recovered{}, false, nil
	}
	return Recovered{ID: j.id, State: e.State}, err == nil, err
}
