package ledger

import (
	"fmt"
	"math"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// missingLimit is how long a job waits for a job that was never submitted, unless its
// document sets needs_timeout.
const missingLimit = time.Hour

var (
	qInsertNeed = engine.NewManyRows("INSERT INTO needs (need, job, deadline, missing_since, any_end) VALUES ", 5, " ON CONFLICT (need, job) DO NOTHING")
	qAddUnmet   = engine.NewQuery("INSERT INTO unmet (need, job) VALUES (?, ?) ON CONFLICT (need, job) DO NOTHING")
)

func needText(id string, state jobs.State) string {
	return fmt.Sprintf("job %s, which it needs, is %s", id, state)
}

// openNeed is a job, or a program, that a waiting job needs.
type openNeed struct {
	need            string
	deadline, since int64 // as in the row: 0 if the need is there
}

// openNeedOf returns the need of a job that is in a state. limit is how long another one
// waits for one that nobody has put yet; 0 is missingLimit.
func openNeedOf(t *txn, need string, state jobs.State, limit jobs.Duration) openNeed {
	if state != "" {
		return openNeed{need: need}
	}
	t.missing = new(true)
	return openNeed{need, missingUntil(t.now, limit), engine.Micros(t.now)}
}

// addNeeds makes a job wait for others. anyEnd says that they need not succeed.
func addNeeds(t *txn, job string, list []openNeed, anyEnd bool) error {
	return qInsertNeed.Split(len(list), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, 5*(to-from))
		for _, n := range list[from:to] {
			args = append(args, n.need, job, n.deadline, n.since, engine.Bool(anyEnd))
		}
		return t.Queue(q, args...)
	})
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
func addUnmet(t *txn, job string, needs []string, states map[string]jobs.State) error {
	for _, need := range needs {
		if states[need] == jobs.Succeeded {
			continue
		}
		if err := t.Queue(qAddUnmet, need, job); err != nil {
			return err
		}
	}
	return nil
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
