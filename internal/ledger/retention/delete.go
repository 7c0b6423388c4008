package retention

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Job is what Delete has to know of a job.
type Job struct {
	ID, Program string
	State       jobs.State // a final one
	Accepted    time.Time
	Attempt     int      // number of the newest attempt
	Labels      []string // as in the table labels
}

var (
	qAnyNeeding = engine.NewQuery("SELECT 1 FROM needs WHERE need = ? LIMIT 1")
	qOpenBatch  = engine.NewQuery(`SELECT 1 FROM jobs frame JOIN jobs batch ON batch.id = frame.batch
		WHERE frame.id = ? AND frame.batch <> '' AND batch.state IN ('queued', 'running')`)
	qUnsettled   = engine.NewQuery("SELECT 1 FROM unsettled WHERE job = ?")
	qAnyHook     = engine.NewQuery("SELECT 1 FROM hooks WHERE job = ? LIMIT 1")
	qDeleteLabel = engine.NewQuery("DELETE FROM labels WHERE label = ? AND accepted = ? AND job = ?")
	qNumber      = engine.NewQuery("SELECT COALESCE(MAX(number), 0) FROM deleted")
	qRemember    = engine.NewQuery("INSERT INTO deleted (id, number, at, program, state) VALUES (?, ?, ?, ?, ?)")
	// A loop is forgotten with the last of its jobs.
	qForgetLoop = engine.NewQuery(`DELETE FROM loops WHERE id = (SELECT loop FROM jobs WHERE id = ? AND loop <> '')
		AND NOT EXISTS (SELECT 1 FROM jobs AS other WHERE other.loop = loops.id AND other.loop <> '' AND other.id <> ?)`)
	qLeave = engine.NewQuery("INSERT INTO removals (job, attempts) VALUES (?, ?)")
)

// deletions delete the rows of one job, whose id is their argument.
var deletions = func() (list []*engine.Query) {
	for _, where := range []string{
		"jobs WHERE id", "documents WHERE id", "old_documents WHERE id", "results WHERE job", "attempts WHERE job", "live WHERE job", "partials WHERE job", "log_chunks WHERE job",
		"checkpoints WHERE job", "checkpoint_requests WHERE job", "attempt_counters WHERE job", "chunks WHERE job",
		"events WHERE job", "deliveries WHERE job", "needs WHERE job", "unmet WHERE job", "reviving WHERE job",
	} {
		list = append(list, engine.NewQuery("DELETE FROM "+where+" = ?"))
	}
	return list
}()

// Delete deletes all rows of a job that has ended, and remembers its id and the objects
// that are to be removed. refusal is ErrNeeded, ErrBatch or
// ErrSending if nothing was done.
func Delete(t engine.Tx, j *Job) (refusal, err error) {
	if refusal, err = refuse(t, j.ID); refusal != nil || err != nil {
		return refusal, err
	}
	if _, err := t.Exec(qForgetLoop, j.ID, j.ID); err != nil {
		return nil, err
	}
	for _, q := range deletions {
		if _, err := t.Exec(q, j.ID); err != nil {
			return nil, err
		}
	}
	for _, label := range j.Labels {
		if _, err := t.Exec(qDeleteLabel, label, engine.Micros(j.Accepted), j.ID); err != nil {
			return nil, err
		}
	}
	return nil, remember(t, j)
}

// refuse returns why a job must stay, or nil.
func refuse(t engine.Tx, id string) (refusal, err error) {
	for _, check := range []struct {
		q   *engine.Query
		why error
	}{{qAnyNeeding, ErrNeeded}, {qUnsettled, ErrNeeded}, {qOpenBatch, ErrBatch}, {qAnyHook, ErrSending}} {
		var one int
		if found, err := t.Row(check.q, []any{id}, &one); err != nil || found {
			return check.why, err
		}
	}
	return nil, nil
}

// remember writes the id of a deleted job. Its number is the time, or the next number
// after a clock was set back.
func remember(t engine.Tx, j *Job) error {
	var last int64
	if _, err := t.Row(qNumber, nil, &last); err != nil {
		return err
	}
	now := engine.Micros(t.Now())
	if _, err := t.Exec(qRemember, j.ID, max(last+1, now), now, j.Program, string(j.State)); err != nil {
		return err
	}
	_, err := t.Exec(qLeave, j.ID, j.Attempt)
	return err
}
