package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger/counters"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/loops"
	"github.com/runnerbean/runnerbean/internal/ledger/states"
	"github.com/runnerbean/runnerbean/jobs"
)

var (
	qKeepLast = engine.NewQuery(`INSERT INTO attempts (job, number, node, instance, program_sha256, started, finished, outcome,
		message, exit_code, signal, cpu_us, max_rss, quarantine)
		SELECT id, attempt, node, instance, program_sha256, started, finished, outcome, ?, exit_code, signal, cpu_us, max_rss, quarantine
		FROM jobs WHERE id = ? AND outcome <> ''`)
	qDropUnmet   = engine.NewQuery("DELETE FROM unmet WHERE job = ?")
	qDropLive    = engine.NewQuery("DELETE FROM live WHERE job = ?")
	qDropPartial = engine.NewQuery("DELETE FROM partials WHERE job = ?")
	qQueueAgain  = engine.NewQuery(`UPDATE jobs SET state = ?, finished = 0, updated = ?, not_before = ?, start_after = ?, expires = ?, spent = 0,
		crashes = 0, alone_crashes = 0, fetch_since = 0, fetch_tries = 0, interruptions = 0, longest_interrupted = 0, cancel_requested = 0, outcome = '', exit_code = 0, signal = '', cpu_us = 0, max_rss = 0,
		server = '', message = 0, reason = ?, error = '', due = ?, look_at = CASE WHEN keep = '' THEN 0 ELSE CAST(? AS BIGINT) END WHERE id = ? AND state = ?`)
	qDescribe = engine.NewQuery("UPDATE jobs SET program = ?, priority = ?, created = ?, labels = ?, webhook = ?, target = ?, keep = ?, look_at = ? WHERE id = ?")
)

// queueAgain queues a failed or cancelled job again. It drops an expiry that has passed,
// because a person wants the job to run.
func queueAgain(t *txn, verb Verb, by string, r *Record, target *Target) (refusal, err error) {
	job := target.Job
	if job == nil && r.Error != nil && r.Error.Class == jobs.ClassDocument {
		return ErrDocument, nil
	}
	needs, anyEnd, err := needsOf(r, job)
	if err != nil {
		return ErrDocument, nil
	}
	open, refusal, err := openNeeds(t, needs, anyEnd)
	if refusal != nil || err != nil {
		return refusal, err
	}
	message := ""
	if r.Error != nil {
		message = r.Error.Message
	}
	if _, err := t.Exec(qKeepLast, message, r.ID); err != nil {
		return nil, err
	}
	state, reason := jobs.Queued, ""
	if len(open) > 0 {
		state, reason = jobs.Waiting, waitText(len(open))
	}
	if err := addNeeds(t, r.ID, open, anyEnd); err != nil {
		return nil, err
	}
	counted, err := awaitAgain(t, r, target, &state, &reason)
	if err != nil {
		return nil, err
	}
	start, expires := timesAgain(r, job, t.now)
	n, err := t.Exec(qQueueAgain, string(state), engine.Micros(t.now), engine.Micros(start), engine.Micros(start), engine.Micros(expires),
		reason, engine.Micros(dueIn(state, start, t.now)), engine.Micros(t.now), r.ID, string(r.State))
	if err != nil || n == 0 {
		return nil, err
	}
	if err := redescribe(t, r, job); err != nil {
		return nil, err
	}
	if err := t.outbox.Forget(t, r.ID); err != nil {
		return nil, err
	}
	t.count(counted, r.State, state)
	t.Changed(r.ID)
	kind, was := noteOfAgain(verb, r)
	t.Note(by, kind, r.ID, "", was+"; queued again"+startText(start, t.now)+expiryText(r.Expires, expires))
	return nil, dropLive(t, r.ID, qDropUnmet)
}

// timesAgain returns the earliest start and the expiry of a job that is queued again. Both
// are those of its document, but an expiry that has passed is dropped.
func timesAgain(r *Record, job *jobs.Job, now time.Time) (start, expires time.Time) {
	start, expires = r.StartAfter, r.Expires
	if job != nil {
		start, expires = engine.Trunc(job.NotBefore), engine.Trunc(job.Expires)
	}
	if !expires.After(now) {
		expires = time.Time{}
	}
	return start, expires
}

// dueIn returns when a job that is queued or waiting now is due. A waiting one is not.
func dueIn(state jobs.State, start, now time.Time) time.Time {
	if state == jobs.Waiting {
		return time.Time{}
	}
	return engine.Later(now, start)
}

// startText continues a sentence about a job that may only start later.
func startText(start, now time.Time) string {
	if !start.After(now) {
		return ""
	}
	return "; starts not before " + start.Format(time.RFC3339)
}

// expiryText continues a sentence about a job whose expiry was dropped.
func expiryText(before, after time.Time) string {
	if before.IsZero() || !after.IsZero() {
		return ""
	}
	return "; its expiry " + before.Format(time.RFC3339) + " has passed and does not hold any more"
}

// awaitAgain makes a job wait for its program again if it was cancelled while it waited.
// It returns the program under which the job is counted.
func awaitAgain(t *txn, r *Record, target *Target, state *jobs.State, reason *string) (counted string, err error) {
	next := Record{ID: r.ID, Program: r.Program}
	if target.Job != nil {
		next.Program = engine.Clean(target.Job.Program, engine.MaxName)
	}
	if target.Awaits == "" {
		return next.Program, nil
	}
	if known, err := announced(t, next.Program); err != nil || known {
		return next.Program, err
	}
	*state, *reason = jobs.Waiting, strings.TrimPrefix(*reason+"; "+target.Awaits, "; ")
	return "", t.await(&next)
}

// noteOfAgain returns the kind of the event, and what the job was.
func noteOfAgain(verb Verb, r *Record) (kind, was string) {
	switch {
	case r.State == jobs.Succeeded:
		return eventlog.KindResultMissing, fmt.Sprintf("the store has lost the result of attempt %d", r.Attempt)
	case verb == VerbReset:
		return eventlog.KindReset, "was " + string(r.State)
	}
	return eventlog.KindRetried, "was " + string(r.State)
}

// needsOf returns the ids of the jobs that a job needs, and whether any end of them will do,
// from its document. A job that has started needs none any more, because a success never
// changes.
func needsOf(r *Record, job *jobs.Job) (needs []string, anyEnd bool, err error) {
	switch {
	case r.Attempt > 0:
		return nil, false, nil
	case job == nil:
		doc, err := jobdoc.Read(r.Document)
		if err != nil {
			return nil, false, err
		}
		job = &doc
	}
	return job.Needs, job.NeedsFailed == jobs.NeedsRun, nil
}

// openNeeds returns the needs that have not ended. refusal names a need that ended
// without success.
func openNeeds(t *txn, needs []string, anyEnd bool) (open []openNeed, refusal, err error) {
	known, err := states.OfAll(t, needs)
	if err != nil {
		return nil, nil, err
	}
	for _, need := range needs {
		switch state := known[need]; {
		case state == jobs.Succeeded || state.Final() && anyEnd:
		case state.Final():
			return nil, fmt.Errorf("%s, retry that first: %w", needText(need, state), ErrNeeds), nil
		case state == "":
			return nil, fmt.Errorf("job %s, which it needs, is not known: %w", need, ErrNeeds), nil
		default:
			open = append(open, openNeed{need: need})
		}
	}
	return open, nil, nil
}

// redescribe writes the columns that a document with a fault could not fill.
func redescribe(t *txn, r *Record, job *jobs.Job) error {
	if job == nil {
		return nil
	}
	c := newCandidate(&Entry{Job: *job, Document: r.Document})
	if c.err != nil {
		return c.err
	}
	target, err := t.outbox.Elsewhere(t, c.target)
	if err != nil {
		return err
	}
	_, err = t.Exec(qDescribe, c.record.Program, int64(c.record.Priority), engine.Micros(c.record.Created), c.labels, c.webhook, target, c.keep(), c.lookAt(t.now), r.ID)
	if err == nil && job.Repeat > 0 {
		err = loops.Join(t, r.ID, "", 0)
	}
	if err != nil {
		return err
	}
	return c.label(t, r.Accepted)
}

// dropLive deletes what a program reported while it ran, but for its last counters, and more.
func dropLive(t *txn, id string, more ...*engine.Query) error {
	if err := counters.Keep(t, id); err != nil {
		return err
	}
	return execAll(t, id, append(more, qDropLive, qDropPartial)...)
}

// execAll runs statements about one job.
func execAll(t *txn, id string, list ...*engine.Query) error {
	for _, q := range list {
		if _, err := t.Exec(q, id); err != nil {
			return err
		}
	}
	return nil
}

var (
	qAnyUnmet = engine.NewQuery("SELECT 1 FROM unmet WHERE need = ? LIMIT 1")
	qReviving = engine.NewQuery("INSERT INTO reviving (job, at, after, asker) VALUES (?, ?, '', ?) ON CONFLICT (job) DO UPDATE SET at = excluded.at, after = '', asker = excluded.asker")
)

// reviveDependents leaves the dependents of a job to Revive, if some of them failed. at is
// when the person named by asked for that. It reports whether there are any.
func reviveDependents(t *txn, by, id string, at int64) (bool, error) {
	var one int
	if found, err := t.Row(qAnyUnmet, []any{id}, &one); err != nil || !found {
		return false, err
	}
	_, err := t.Exec(qReviving, id, at, by)
	return err == nil, err
}
