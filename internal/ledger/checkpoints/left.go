package checkpoints

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxDropped limits the checkpoints in one answer of Dropped, and maxLooks those that
	// one call of Look reads.
	maxDropped = 100
	maxLooks   = 500
	// begunFor is how long a checkpoint that was begun may be in the making after its
	// attempt is not the newest any more. Its node may still write the object.
	begunFor = time.Hour
)

// Key names a checkpoint. The zero Key comes before all.
type Key struct {
	Job    string
	Number int
}

var (
	qDropped = engine.NewQuery(`SELECT job, number, attempt FROM checkpoints WHERE state = 2 AND (job, number) > (?, ?)
		ORDER BY job, number LIMIT ?`)
	qForget = engine.NewQuery("DELETE FROM checkpoints WHERE job = ? AND number = ? AND state = 2")
	qLook   = engine.NewQuery(`SELECT checkpoints.job, checkpoints.number, checkpoints.attempt, checkpoints.state, checkpoints.at,
		COALESCE(jobs.state, ''), COALESCE(jobs.attempt, 0) FROM checkpoints LEFT JOIN jobs ON jobs.id = checkpoints.job
		WHERE (checkpoints.job, checkpoints.number) > (?, ?) ORDER BY checkpoints.job, checkpoints.number LIMIT ?`)
	qDropLeft = engine.NewQuery("UPDATE checkpoints SET state = 2 WHERE job = ? AND number = ? AND state = ?")
)

// Dropped returns checkpoints whose objects are to be removed, at most 100, after one of
// them. Their rows stay until Forget.
func (c *Checkpoints) Dropped(ctx context.Context, after Key) (list []Checkpoint, err error) {
	err = c.ledger.Each(ctx, qDropped, []any{after.Job, after.Number, maxDropped}, func(r engine.Row) error {
		var p Checkpoint
		err := r.Scan(&p.Job, &p.Number, &p.Attempt)
		list = append(list, p)
		return err
	})
	return list, engine.Wrap("dropped checkpoints", err)
}

// Forget records that the objects of dropped checkpoints are not in the store any more. It is
// not synced: what is removed twice is removed once.
func (c *Checkpoints) Forget(ctx context.Context, list []Checkpoint) error {
	err := c.ledger.Do(ctx, engine.Op{Name: "forget-checkpoints", Weight: len(list), Soft: true, Run: func(t engine.Tx) error {
		for _, p := range list {
			if _, err := t.Exec(qForget, p.Job, p.Number); err != nil {
				return err
			}
		}
		return nil
	}})
	return engine.Wrap("forget checkpoints", err)
}

// row is a checkpoint and how its job stands.
type row struct {
	key            Key
	attempt, state int
	at             time.Time
	job            jobs.State // "" if it was deleted
	newest         int        // attempt of the job
}

// unwanted reports whether nobody needs the checkpoint: its job was deleted by a program that
// does not know checkpoints, or has succeeded, or the node that made it has died.
func (r *row) unwanted(now time.Time) bool {
	switch {
	case r.state == dropped:
		return false
	case r.job == "" || r.job == jobs.Succeeded:
		return true
	case r.state == kept:
		return false
	}
	runs := r.job == jobs.Running && r.newest == r.attempt
	return !runs && now.Sub(r.at) > begunFor
}

// expire removes requests of attempts whose nodes have died.
func (c *Checkpoints) expire(ctx context.Context) error {
	old, one := engine.Micros(c.ledger.Now().Add(-forgetRequests)), 0
	if found, err := c.ledger.Row(ctx, qAnyExpired, []any{old}, &one); err != nil || !found {
		return err
	}
	return c.ledger.Do(ctx, engine.Op{Name: "expire-checkpoint-requests", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		_, err := t.Exec(qExpired, old)
		return err
	}})
}

// Look looks at checkpoints after one, at most 500, and drops those that nobody needs. It
// returns the last one that it has looked at, or the zero Key after the end.
func (c *Checkpoints) Look(ctx context.Context, after Key) (last Key, err error) {
	if after == (Key{}) {
		if err := c.expire(ctx); err != nil {
			return after, engine.Wrap("look at checkpoint requests", err)
		}
	}
	var unwanted []row
	n, now := 0, c.ledger.Now()
	err = c.ledger.Each(ctx, qLook, []any{after.Job, after.Number, maxLooks}, func(er engine.Row) error {
		var r row
		var at int64
		err := er.Scan(&r.key.Job, &r.key.Number, &r.attempt, &r.state, &at, (*string)(&r.job), &r.newest)
		r.at = engine.FromMicros(at)
		if n++; r.unwanted(now) {
			unwanted = append(unwanted, r)
		}
		last = r.key
		return err
	})
	if n < maxLooks {
		last = Key{}
	}
	if err != nil || len(unwanted) == 0 {
		return last, engine.Wrap("look at checkpoints", err)
	}
	err = c.ledger.Do(ctx, engine.Op{Name: "drop-checkpoint", Weight: len(unwanted), Soft: true, Run: func(t engine.Tx) error {
		for _, r := range unwanted {
			if _, err := t.Exec(qDropLeft, r.key.Job, r.key.Number, r.state); err != nil {
				return err
			}
		}
		return nil
	}})
	return last, engine.Wrap("drop checkpoints", err)
}
