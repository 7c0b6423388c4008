package ledger

import (
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxDependents is the largest number of dependents that one operation updates. The
	// others follow in their own transactions.
	maxDependents = 256
)

var (
	qDependents  = engine.NewQuery("SELECT job FROM needs WHERE need = ? LIMIT ?")
	qTakesAnyEnd = engine.NewQuery("SELECT 1 FROM needs WHERE need = ? AND job = ? AND any_end = 1")
	qMet         = engine.NewQuery("DELETE FROM needs WHERE need = ? AND job = ?")
	qDropNeeds   = engine.NewQuery("DELETE FROM needs WHERE job = ?")
	qKeepUnmet   = engine.NewQuery(`INSERT INTO unmet (need, job) SELECT need, job FROM needs
		WHERE job = ? AND need NOT LIKE '` + programPrefix + `%' ON CONFLICT (need, job) DO NOTHING`)
	qAnyNeed    = engine.NewQuery("SELECT 1 FROM needs WHERE job = ? LIMIT 1")
	qAnyNeeding = engine.NewQuery("SELECT 1 FROM needs WHERE need = ? LIMIT 1")
	qRelease    = engine.NewQuery(`UPDATE jobs SET state = 'queued', updated = ?, reason = '',
		due = CASE WHEN not_before > ? THEN not_before ELSE ? END WHERE id = ? AND state = 'waiting'
		RETURNING ` + recordColumns)
	qLeaveRemaining = engine.NewQuery("INSERT INTO unsettled (job) VALUES (?) ON CONFLICT (job) DO NOTHING")
	qFailNoNeed     = engine.NewQuery(`UPDATE jobs SET state = 'failed', finished = ?, updated = ?, reason = '', error = ?
		WHERE id = ? AND state = ? RETURNING program, attempt, webhook, target`)
)

// endedJob is a job that has ended and whose dependents are to be updated.
type endedJob struct {
	id    string
	state jobs.State
}

// updateDependents updates the jobs that need a job that has ended, and their dependents
// in turn. A success releases the jobs that need nothing else. Any other end fails them,
// unless their documents say that they run then.
// It returns the released jobs.
func (t *txn) updateDependents(id string, state jobs.State) (released []Record, err error) {
	work, budget := []endedJob{{id, state}}, maxDependents
	for len(work) > 0 {
		e := work[0]
		work = work[1:]
		list, err := t.Strings(qDependents, e.id, budget+1)
		if err != nil {
			return nil, err
		}
		if len(list) > budget {
			list = list[:budget]
			if err := t.leaveRemaining(e.id); err != nil {
				return nil, err
			}
		}
		budget -= len(list)
		for _, job := range list {
			r, next, err := t.updateDependent(job, e)
			if err != nil {
				return nil, err
			}
			released, work = append(released, r...), append(work, next...)
		}
	}
	return released, nil
}

// updateDependent updates one dependent.
func (t *txn) updateDependent(job string, e endedJob) (released []Record, next []endedJob, err error) {
	if fails, err := failsWith(t, job, e); err != nil {
		return nil, nil, err
	} else if fails { // its needs are kept as unmet
		next = []endedJob{{job, jobs.Failed}}
		if err := t.failWaiting(job, needText(e.id, e.state)); err != nil {
			return nil, nil, err
		}
	}
	met, err := t.Exec(qMet, e.id, job)
	if err != nil || next != nil {
		return nil, next, err
	}
	if program, ok := strings.CutPrefix(e.id, programPrefix); ok && met > 0 {
		t.recount(program)
	}
	var one int
	if waits, err := t.Row(qAnyNeed, []any{job}, &one); err != nil || waits {
		return nil, nil, err
	}
	r, ok, err := t.release(job)
	if ok {
		released = []Record{r}
	}
	return released, nil, err
}

// failsWith reports whether a dependent fails because of the end of a job that it needs.
func failsWith(t *txn, job string, e endedJob) (bool, error) {
	if e.state == jobs.Succeeded {
		return false, nil
	}
	var one int
	anyEnd, err := t.Row(qTakesAnyEnd, []any{e.id, job}, &one)
	return !anyEnd, err
}

// leaveRemaining leaves the dependents of a job to another transaction.
func (t *txn) leaveRemaining(id string) error {
	t.remaining = true
	_, err := t.Exec(qLeaveRemaining, id)
	return err
}

// release queues a job that needs nothing any more.
func (t *txn) release(id string) (Record, bool, error) {
	var row recordRow
	ok, err := t.Change(qRelease, []any{engine.Micros(t.now), engine.Micros(t.now), engine.Micros(t.now), id}, row.dest()...)
	if err != nil || !ok {
		return Record{}, false, err
	}
	t.count(row.Program, jobs.Waiting, jobs.Queued)
	t.Changed(id)
	t.note(eventlog.KindReleased, id, "", "all that it waited for has ended")
	r, err := row.record()
	return r, err == nil, err
}

// failWaiting fails a job because of its needs.
func (t *txn) failWaiting(id, why string) error {
	return t.fail(id, jobs.Waiting, &jobs.Error{Class: jobs.ClassNeeds, Message: why}, eventlog.KindFailed)
}

// fail ends a job that does not run, if it is still in state from, and drops its open
// needs, which are kept as unmet. It does not update its dependents.
func (t *txn) fail(id string, from jobs.State, e *jobs.Error, kind string) error {
	done, err := t.endIdle(qFailNoNeed, id, from, jobs.Failed, e)
	if err != nil || !done {
		return err
	}
	t.Changed(id)
	t.note(kind, id, "", e.Message)
	return dropNeeds(t, id)
}

// dropNeeds closes the open needs of a job that has ended before it started. They are kept
// as unmet.
func dropNeeds(t *txn, id string) error {
	for _, q := range []*engine.Query{qKeepUnmet, qDropNeeds} {
		if _, err := t.Exec(q, id); err != nil {
			return err
		}
	}
	return nil
}

// endDependents updates the dependents of a job that has just ended, if there are any.
func (t *txn) endDependents(id string, state jobs.State) ([]Record, error) {
	var one int
	if found, err := t.Row(qAnyNeeding, []any{id}, &one); err != nil || !found {
		return nil, err
	}
	return t.updateDependents(id, state)
}

// programAnnounced releases the jobs that wait for a program that a node announces.
func (t *txn) programAnnounced(program string) error {
	var one int
	need := programNeed(program)
	waited, err := t.Row(qAnyNeeding, []any{need}, &one)
	if err == nil && waited {
		_, err = t.updateDependents(need, jobs.Succeeded)
	}
	return err
}
