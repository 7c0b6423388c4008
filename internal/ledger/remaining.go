package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/states"
	"github.com/runnerbean/runnerbean/jobs"
)

// reviveAfter is how long after a retry any process goes on with what the caller of Revive
// has left, because the caller may have died.
const reviveAfter = time.Minute

// maxRemaining is how many ended jobs one transaction looks at whose dependents were left.
const maxRemaining = 16

var (
	qRemaining     = engine.NewQuery(fmt.Sprintf("SELECT job FROM unsettled LIMIT %d", maxRemaining))
	qDropRemaining = engine.NewQuery("DELETE FROM unsettled WHERE job = ?")
	qAnyRemaining  = engine.NewQuery("SELECT 1 FROM (SELECT 1 FROM unsettled UNION ALL SELECT 1 FROM reviving WHERE at <= ?) AS rest LIMIT 1")

	qToRevive    = engine.NewQuery("SELECT job, after, asker, at FROM reviving WHERE at <= ? ORDER BY at, job LIMIT 16")
	qRevivedTo   = engine.NewQuery("UPDATE reviving SET after = ? WHERE job = ?")
	qRevivedAll  = engine.NewQuery("DELETE FROM reviving WHERE job = ?")
	qUnmetBy     = engine.NewQuery("SELECT job FROM unmet WHERE need = ? AND job > ? ORDER BY job LIMIT ?")
	qFailedUnmet = engine.NewQuery(`SELECT need.id, need.state FROM unmet JOIN jobs AS need ON need.id = unmet.need
		WHERE unmet.job = ? AND need.state IN ('failed', 'cancelled') LIMIT 1`)
)

// updateRemaining does what was too much for one transaction: it updates dependents, and
// revives those that the caller of Revive has left. It returns whether more may be left.
func (t *txn) updateRemaining() (more bool) {
	o := &op{weight: maxDependents, run: func(t *txn) error {
		list, err := t.Strings(qRemaining)
		if err != nil || len(list) == 0 {
			return err
		}
		more = len(list) == maxRemaining
		for _, id := range list {
			if err := t.updateOneRemaining(id); err != nil || t.remaining {
				return err
			}
		}
		return nil
	}}
	if _, err := t.run([]*op{o}, nil); err != nil {
		t.log.Error("the dependents of an ended job are not updated yet", "err", err)
		return false
	}
	return more || t.remaining || reviveRemaining(t)
}

func (t *txn) updateOneRemaining(id string) error {
	if _, err := t.Exec(qDropRemaining, id); err != nil {
		return err
	}
	state, err := states.Of(t, id)
	if strings.HasPrefix(id, programPrefix) {
		state = jobs.Succeeded // a node has announced the program
	}
	if err != nil || !state.Final() {
		return err
	}
	_, err = t.updateDependents(id, state)
	return err
}

// reviveRemaining makes one step of Revive for callers that may have died.
func reviveRemaining(t *txn) (more bool) {
	o := &op{weight: maxDependents, run: func(t *txn) error {
		step, err := revive(t, t.now.Add(-reviveAfter))
		more = step.More
		return err
	}}
	if _, err := t.run([]*op{o}, nil); err != nil {
		t.log.Error("the dependents of a retried job are not queued again yet", "err", err)
		return false
	}
	return more || t.remaining
}

// Revived is what one step of Revive did.
type Revived struct {
	// Jobs are queued or waiting again.
	Jobs []Record
	// Left stay failed. Err says why. A job is left again and again if it needs several
	// jobs, until the last of them is retried.
	Left []Acted
	// More says that another step follows.
	More bool
}

// Revive queues jobs again that failed only because they need a job that was retried with
// Target.Dependents, and then those that need them. One step tries at most 256 jobs. What
// a caller leaves, because it died, another process does after a minute. The caller sends
// messages for the jobs that are queued now.
func (d *Dependents) Revive(ctx context.Context) (r Revived, err error) {
	err = d.do(ctx, &op{name: "revive", weight: maxDependents, run: func(t *txn) (err error) {
		r, err = revive(t, t.now)
		return err
	}})
	if err != nil {
		return Revived{}, engine.Wrap("revive", err)
	}
	return r, nil
}

// Dependents are the jobs that need others.
type Dependents struct {
	do func(ctx context.Context, o *op) error
}

// reviver is a row of reviving.
type reviver struct {
	job, after, by string
	at             int64
}

// revive makes one step for jobs that were retried by a time.
func revive(t *txn, until time.Time) (step Revived, err error) {
	var list []reviver
	err = t.Each(qToRevive, []any{engine.Micros(until)}, func(row engine.Row) error {
		var v reviver
		err := row.Scan(&v.job, &v.after, &v.by, &v.at)
		list = append(list, v)
		return err
	})
	budget := maxDependents
	for _, v := range list {
		if err != nil || budget == 0 {
			break
		}
		var n int
		n, err = reviveNeeding(t, v, budget, &step)
		budget -= n
	}
	step.More = len(list) > 0
	return step, err
}

// reviveNeeding tries at most limit dependents of a job, and returns how many it tried.
func reviveNeeding(t *txn, v reviver, limit int, step *Revived) (int, error) {
	list, err := t.Strings(qUnmetBy, v.job, v.after, limit)
	for _, id := range list {
		if err != nil {
			return 0, err
		}
		err = reviveOne(t, id, v, step)
	}
	if err == nil && len(list) == limit {
		_, err = t.Exec(qRevivedTo, list[limit-1], v.job)
		return limit, err
	}
	if err == nil {
		_, err = t.Exec(qRevivedAll, v.job)
	}
	return len(list), err
}

// reviveOne queues one dependent again if it failed only because of its needs and none of
// them has failed.
func reviveOne(t *txn, id string, v reviver, step *Revived) error {
	r, found, err := t.get(id)
	if err != nil || !found {
		return err
	}
	refusal, err := mayRevive(t, &r)
	if err == nil && refusal == nil {
		var awaits string
		if awaits, err = awaitsAgain(t, r.Program); err == nil {
			refusal, err = queueAgain(t, VerbRetry, v.by, &r, &Target{ID: id, Awaits: awaits})
		}
	}
	if err != nil {
		return err
	}
	if refusal != nil {
		step.Left = append(step.Left, Acted{ID: id, Record: small(r), Err: refusal})
		return nil
	}
	if r, _, err = t.get(id); err == nil {
		step.Jobs = append(step.Jobs, small(r))
		_, err = reviveDependents(t, v.by, id, v.at)
	}
	return err
}

// small returns a record without what may be large.
func small(r Record) Record {
	r.Document, r.Live = nil, Live{}
	return r
}

// Reasons why Revive leaves a job.
var (
	// ErrCancelled is returned for a dependent that a person has cancelled.
	ErrCancelled = errors.New("job was cancelled")
	// ErrOwnReason is returned for a dependent that failed for another reason than its
	// needs.
	ErrOwnReason = errors.New("job failed for a reason of its own")
)

// mayRevive returns why a dependent stays as it is, or nil.
func mayRevive(t *txn, r *Record) (refusal, err error) {
	switch {
	case r.State == jobs.Cancelled:
		return ErrCancelled, nil
	case r.State != jobs.Failed:
		return ErrNotEnded, nil
	case r.Error == nil || r.Error.Class != jobs.ClassNeeds:
		return ErrOwnReason, nil
	}
	var need string
	var state jobs.State
	found, err := t.Row(qFailedUnmet, []any{r.ID}, &need, (*string)(&state))
	if found {
		refusal = fmt.Errorf("%s, retry that first: %w", needText(need, state), ErrNeeds)
	}
	return refusal, err
}

// awaitsAgain returns the reason why a job waits for its program, or "" if a node has
// announced it.
func awaitsAgain(t *txn, program string) (string, error) {
	if known, err := announced(t, program); err != nil || known {
		return "", err
	}
	known, err := t.Strings(qProgramNames)
	return UnknownProgram(program, known), err
}
