package ledger

import (
	"fmt"
	"math"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
)

// missingLimit is how long a job waits for a job that was never submitted, unless its
// document sets needs_timeout.
const missingLimit = time.Hour

var (
	qInsertNeed = engine.NewQuery("INSERT INTO needs (need, job, deadline, missing_since) VALUES (?, ?, ?, ?) ON CONFLICT (need, job) DO NOTHING")
	qAddUnmet   = engine.NewQuery("INSERT INTO unmet (need, job) VALUES (?, ?) ON CONFLICT (need, job) DO NOTHING")
	qState      = engine.NewQuery("SELECT state FROM jobs WHERE id = ?")
)

func needText(id string, state jobs.State) string {
	return fmt.Sprintf("job %s, which it needs, is %s", id, state)
}

// addNeed makes a job wait for another one, which is in a state. limit is how long it waits
// for one that nobody has put yet; 0 is missingLimit.
func (t *txn) addNeed(need, job string, state jobs.State, limit jobs.Duration) error {
	var deadline, since int64
	if state == "" {
		deadline, since = missingUntil(t.now, limit), engine.Micros(t.now)
		t.missing = new(true)
	}
	_, err := t.Exec(qInsertNeed, need, job, deadline, since)
	return err
}

// missingUntil returns when a job fails whose need nobody has put.
func missingUntil(now time.Time, limit jobs.Duration) int64 {
	switch limit {
	case 0:
		limit = jobs.Duration(missingLimit)
	case jobs.Forever:
		return math.MaxInt64
	}
	return engine.Micros(now.Add(time.Duration(limit)))
}

// addUnmet keeps those needs of a job that have not succeeded. The job fails because of the
// first of them.
func addUnmet(t *txn, job string, needs []string) error {
	for _, need := range needs {
		state, err := t.state(need)
		if err == nil && state != jobs.Succeeded {
			_, err = t.Exec(qAddUnmet, need, job)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// state returns the state of a job, or "" for a job that the ledger never held. A deleted
// job has the state that it had: its end counts for the jobs that need it.
func (t *txn) state(id string) (s jobs.State, err error) {
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

func waitText(open int) string {
	if open == 1 {
		return "waits for 1 other job"
	}
	return fmt.Sprintf("waits for %d other jobs", open)
}

var (
	qAnyMissing = engine.NewQuery("SELECT 1 FROM needs WHERE deadline > 0 LIMIT 1")
	qFound      = engine.NewQuery("UPDATE needs SET deadline = 0, missing_since = 0 WHERE need = ? AND deadline > 0")
)

// wanted reports whether jobs wait for a new one, and records that it exists now.
// Missing jobs are rare, so a transaction first asks once whether there are any.
func (t *txn) wanted(id string) (bool, error) {
	if t.missing == nil {
		var one int
		any, err := t.Row(qAnyMissing, nil, &one)
		if err != nil {
			return false, err
		}
		t.missing = &any
	}
	if !*t.missing {
		return false, nil
	}
	n, err := t.Exec(qFound, id)
	return n > 0, err
}
