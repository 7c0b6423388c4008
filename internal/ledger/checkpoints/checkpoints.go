// Package checkpoints records what programs have saved, so that the next attempt of a job goes
// on from there. The objects are in the store. Each of them has a row here before it is made
// and until after it is removed, so that a kill at any moment leaves no object that nobody
// knows: Begin, the object, Record; then, for one that is not wanted any more, Dropped, the
// object, Forget.
package checkpoints

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Keep is how many checkpoints of a job are kept.
const Keep = 2

// Checkpoints are the checkpoints in a ledger.
type Checkpoints struct{ ledger engine.Access }

// New returns the checkpoints in a ledger.
func New(ledger engine.Access) *Checkpoints { return &Checkpoints{ledger} }

// Checkpoint is one checkpoint of a job.
type Checkpoint struct {
	Job     string
	Number  int // grows with each checkpoint of the job
	Attempt int // that has made it
	SHA256  string
	Size    int64 // of the object, in bytes
	At      time.Time
	// Restored is the last attempt that has begun from it, or 0. Broken says why the last one
	// that tried could not.
	Restored int
	Broken   string
}

// States of a row.
const (
	begun = iota
	kept
	dropped
)

// holds demands that an attempt is the newest of a running job that is not being reset.
const holds = "FROM jobs WHERE id = ? AND attempt = ? AND state = 'running' AND cancel_requested <> 3"

var (
	qBegin = engine.NewQuery(`INSERT INTO checkpoints (job, number, attempt, state, sha256, size, at)
		SELECT id, 1 + COALESCE((SELECT MAX(number) FROM checkpoints WHERE job = jobs.id), 0), attempt, 0, '', 0, ? ` + holds + ` RETURNING number`)
	qRecord = engine.NewQuery(`UPDATE checkpoints SET state = 1, sha256 = ?, size = ?, at = ?
		WHERE job = ? AND number = ? AND attempt = ? AND state = 0 AND EXISTS (SELECT 1 ` + holds + `)`)
	qDropOld = engine.NewQuery(`UPDATE checkpoints SET state = 2 WHERE job = ? AND state = 1 AND number NOT IN
		(SELECT number FROM checkpoints WHERE job = ? AND state = 1 AND broken = '' ORDER BY number DESC LIMIT ?)`)
	qKept = engine.NewQuery(`SELECT job, number, attempt, sha256, size, at, restored, broken FROM checkpoints
		WHERE job = ? AND state = 1 ORDER BY number DESC LIMIT ?`)
	qTried   = engine.NewQuery("UPDATE checkpoints SET restored = CASE WHEN ? = '' THEN ? ELSE restored END, broken = ? WHERE job = ? AND number = ? AND state = 1")
	qDropOne = engine.NewQuery("UPDATE checkpoints SET state = 2 WHERE job = ? AND number = ? AND state = 0")
	qDropAll = engine.NewQuery("UPDATE checkpoints SET state = 2 WHERE job = ? AND state <> 2")
	qDone    = engine.NewQuery(`UPDATE checkpoints SET state = 2 WHERE job = ? AND state <> 2
		AND EXISTS (SELECT 1 FROM jobs WHERE id = ? AND state = 'succeeded')`)
)

// Begin announces a checkpoint of an attempt and returns its number. The caller then makes
// its object, and calls Record or Abandon. ok is false if nothing was written: the attempt is
// not the newest of a running job, or the job is being reset.
func (c *Checkpoints) Begin(ctx context.Context, job string, attempt int) (number int, ok bool, err error) {
	err = c.ledger.Do(ctx, engine.Op{Name: "begin-checkpoint", Weight: 1, Run: func(t engine.Tx) (err error) {
		ok, err = t.Change(qBegin, []any{engine.Micros(t.Now()), job, attempt}, &number)
		return err
	}})
	return number, ok, engine.Wrap("begin checkpoint", err)
}

// Record records that the object of a checkpoint is in the store, and drops the oldest if more
// than Keep are kept, and those that are broken. ok is false if nothing was written, as for Begin, or if the job was reset
// meanwhile: the caller then removes the object and calls Abandon.
func (c *Checkpoints) Record(ctx context.Context, p Checkpoint) (ok bool, err error) {
	err = c.ledger.Do(ctx, engine.Op{Name: "record-checkpoint", Weight: 1, Run: func(t engine.Tx) error {
		n, err := t.Exec(qRecord, p.SHA256, p.Size, engine.Micros(t.Now()), p.Job, p.Number, p.Attempt, p.Job, p.Attempt)
		if ok = n > 0; err != nil || !ok {
			return err
		}
		t.Changed(p.Job)
		_, err = t.Exec(qDropOld, p.Job, p.Job, Keep)
		return err
	}})
	return ok, engine.Wrap("record checkpoint", err)
}

// Abandon drops a checkpoint that was begun and is not recorded.
func (c *Checkpoints) Abandon(ctx context.Context, job string, number int) error {
	err := c.ledger.Do(ctx, engine.Op{Name: "drop-checkpoint", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		_, err := t.Exec(qDropOne, job, number)
		return err
	}})
	return engine.Wrap("drop checkpoint", err)
}

// Kept returns the checkpoints of a job, the newest first.
func (c *Checkpoints) Kept(ctx context.Context, job string) (list []Checkpoint, err error) {
	err = c.ledger.Each(ctx, qKept, []any{job, Keep}, func(r engine.Row) error {
		var p Checkpoint
		var at int64
		err := r.Scan(&p.Job, &p.Number, &p.Attempt, &p.SHA256, &p.Size, &at, &p.Restored, &p.Broken)
		p.At = engine.FromMicros(at)
		list = append(list, p)
		return err
	})
	return list, engine.Wrap("checkpoints", err)
}

// Tried records that an attempt has begun from a checkpoint, or why it could not.
func (c *Checkpoints) Tried(ctx context.Context, p Checkpoint, attempt int, broken string) error {
	broken = engine.Clean(broken, engine.MaxReason)
	err := c.ledger.Do(ctx, engine.Op{Name: "try-checkpoint", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		_, err := t.Exec(qTried, broken, attempt, broken, p.Job, p.Number)
		return err
	}})
	return engine.Wrap("try checkpoint", err)
}

// Done drops all checkpoints of a job that has succeeded.
func (c *Checkpoints) Done(ctx context.Context, job string) error {
	err := c.ledger.Do(ctx, engine.Op{Name: "drop-checkpoint", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		_, err := t.Exec(qDone, job, job)
		return err
	}})
	return engine.Wrap("drop checkpoints", err)
}

// Drop drops all checkpoints of a job that starts over, also one that is being made.
func Drop(t engine.Tx, job string) error {
	_, err := t.Exec(qDropAll, job)
	return err
}
