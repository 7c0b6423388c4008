package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
)

// Reasons why Act refuses a job.
var (
	// ErrNotEnded is returned for the retry of a job that has not ended.
	ErrNotEnded = errors.New("job has not ended")
	// ErrNotRunning is returned for the stop of a job that does not run.
	ErrNotRunning = errors.New("job does not run")
	// ErrNeeds is returned for the retry of a job that needs a job that has not
	// succeeded.
	ErrNeeds = errors.New("job needs another one that has failed or was cancelled")
	// ErrMissing is returned for the retry of a success whose result is said to be
	// missing, if another attempt is the newest.
	ErrMissing = errors.New("the result is not missing")
	// ErrDocument is returned for the retry of a job whose document has a fault.
	ErrDocument = errors.New("job document has a fault")
)

// Target is one job for Act. Job is set for the retry of a job whose document had a
// fault: it is the decoded document.
type Target struct {
	ID  string
	Job *jobs.Job
	// Awaits is set for the retry of a job whose program no node has announced. See
	// Entry.
	Awaits string
	// Updated is the expected Updated of the job. Zero accepts any.
	Updated time.Time
	// Missing is set for the retry of a success whose result the store has lost: it is
	// the number of its newest attempt, which the caller saw before it looked there.
	Missing int
}

// Acted is the result for one Target. Record is the current state of the job. Err says
// why nothing was done: ErrUnknown, ErrFinal, ErrNotEnded, ErrNotRunning, ErrNeeds,
// ErrDocument, engine.ErrChanged, retention.ErrNeeded or retention.ErrSending. For a job
// that was deleted before, Err is an ErrUnknown and a *retention.Deleted. The Record of a
// job that has just been deleted is as it was.
type Acted struct {
	ID     string
	Record Record
	Err    error
}

// Act applies a verb to jobs, all in one transaction. by is the name of the person. The
// error concerns all targets. The caller sends messages for the jobs that are queued
// now.
func (l *Ledger) Act(ctx context.Context, verb Verb, by string, targets []Target) ([]Acted, error) {
	by = engine.Clean(by, engine.MaxName)
	var acted []Acted
	err := l.do(ctx, &op{name: string(verb), weight: len(targets), run: func(t *txn) error {
		acted = make([]Acted, 0, len(targets))
		for _, target := range targets {
			a, err := target.act(t, verb, by)
			if err != nil {
				return err
			}
			acted = append(acted, a)
		}
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("ledger: %s: %w", verb, err)
	}
	return acted, nil
}

func (target *Target) act(t *txn, verb Verb, by string) (Acted, error) {
	a := Acted{ID: target.ID}
	r, found, err := t.get(target.ID)
	if err == nil && !found {
		a.Err, err = t.unknown(target.ID)
	}
	if err != nil || !found {
		return a, err
	}
	if !target.Updated.IsZero() && !target.Updated.Equal(r.Updated) {
		a.Record, a.Err = r, engine.ErrChanged
		return a, nil
	}
	refusal, err := change(t, verb, by, &r, target)
	if err != nil {
		return a, err
	}
	a.Record, a.Err = r, refusal
	if verb != VerbDelete {
		a.Record, _, err = t.get(target.ID)
	}
	return a, err
}

// unknown returns the error for an id that the ledger does not hold, with the
// *retention.Deleted if the job was deleted.
func (t *txn) unknown(id string) (unknown, err error) {
	d, err := retention.Find(t, id)
	return unknownOr(d), err
}

// change applies a verb to one job, or returns why not.
func change(t *txn, verb Verb, by string, r *Record, target *Target) (refusal, err error) {
	again := verb == VerbRetry || verb == VerbReset
	switch {
	case verb == VerbDelete:
		return deleteJob(t, by, r)
	case r.State == jobs.Succeeded && verb == VerbRetry && target.Missing > 0:
		if target.Missing != r.Attempt {
			return ErrMissing, nil
		}
		return queueAgain(t, verb, by, r, target)
	case r.State == jobs.Succeeded, r.State.Final() && !again:
		return ErrFinal, nil
	case r.State.Final():
		return queueAgain(t, verb, by, r, target)
	case verb == VerbRetry:
		return ErrNotEnded, nil
	case r.State == jobs.Running:
		return nil, request(t, verb, by, r)
	case verb == VerbStop:
		return ErrNotRunning, nil
	case verb == VerbReset:
		return nil, resetIdle(t, by, r)
	}
	return nil, cancelIdle(t, by, r)
}

var (
	// A program that is being killed gets no gentle request any more.
	qRequest = engine.NewQuery(`UPDATE jobs SET cancel_requested = ? WHERE id = ? AND state = 'running'
		AND cancel_requested <> ? AND NOT (cancel_requested = 2 AND 1 = ?)`)
	qCancel = engine.NewQuery(`UPDATE jobs SET state = 'cancelled', finished = ?, updated = ?, reason = '', error = ?
		WHERE id = ? AND state = ? RETURNING program, attempt, webhook, target`)
	qResetIdle = engine.NewQuery(`UPDATE jobs SET spent = 0, crashes = 0, alone_crashes = 0, fetch_since = 0, fetch_tries = 0, not_before = start_after, reason = ?, updated = ?, due = ?, server = '', message = 0
		WHERE id = ? AND state = ?`)
)

// request records a request for the instance that runs a job.
func request(t *txn, verb Verb, by string, r *Record) error {
	code := requestCode(verb)
	n, err := t.Exec(qRequest, code, r.ID, code, code)
	if err != nil || n == 0 {
		return err
	}
	t.Changed(r.ID)
	kind := eventlog.KindCancelRequested
	if verb == VerbReset {
		kind = eventlog.KindReset
	}
	t.Note(by, kind, r.ID, r.Node, string(requests[code]))
	return nil
}

func cancelIdle(t *txn, by string, r *Record) error {
	e := &jobs.Error{Class: jobs.OutcomeCancelled, Message: "cancelled" + byText(by)}
	done, err := t.endIdle(qCancel, r.ID, r.State, jobs.Cancelled, e)
	if err != nil || !done {
		return err
	}
	t.Changed(r.ID)
	t.Note(by, eventlog.KindCancelled, r.ID, "", fmt.Sprintf("was %s", r.State))
	if _, err := t.Exec(qDropNeeds, r.ID); err != nil {
		return err
	}
	_, err = t.endDependents(r.ID, jobs.Cancelled)
	return err
}

// resetIdle clears the budgets and the backoff of a job that does not run. The job still
// starts no earlier than its document says. It gets a new message, because the old one
// may have a delay.
func resetIdle(t *txn, by string, r *Record) error {
	reason := r.Reason
	if r.State == jobs.Queued {
		reason = ""
	}
	n, err := t.Exec(qResetIdle, reason, engine.Micros(t.now), engine.Micros(dueIn(r.State, r.StartAfter, t.now)), r.ID, string(r.State))
	if err != nil || n == 0 {
		return err
	}
	t.Changed(r.ID)
	t.Note(by, eventlog.KindReset, r.ID, "", "it starts over"+startText(r.StartAfter, t.now))
	return nil
}

// deleteJob deletes a job that has ended.
func deleteJob(t *txn, by string, r *Record) (refusal, err error) {
	if !r.State.Final() {
		return ErrNotEnded, nil
	}
	sending := func(h outbox.Hook) bool { return h.Job == r.ID }
	if slices.ContainsFunc(t.all.hooks, sending) || slices.ContainsFunc(t.staged.hooks, sending) {
		return retention.ErrSending, nil
	}
	j := retention.Job{ID: r.ID, Program: r.Program, State: r.State, Accepted: r.Accepted, Attempt: r.Attempt}
	for k, v := range r.Labels {
		j.Labels = append(j.Labels, labelText(k, v))
	}
	if refusal, err = retention.Delete(t, &j); refusal != nil || err != nil {
		return refusal, err
	}
	// Events that this transaction has not written yet go as well.
	mine := func(e eventlog.Event) bool { return e.Job == r.ID }
	t.all.events, t.staged.events = slices.DeleteFunc(t.all.events, mine), slices.DeleteFunc(t.staged.events, mine)
	t.count(r.Program, r.State, "")
	t.Changed(r.ID)
	if by != "" {
		t.Note(by, eventlog.KindDeleted, r.ID, "", fmt.Sprintf("was %s; program %s", r.State, r.Program))
	}
	return nil, nil
}

func byText(by string) string {
	if by == "" {
		return ""
	}
	return " by " + by
}

var (
	qKeepLast = engine.NewQuery(`INSERT INTO attempts (job, number, node, instance, program_sha256, started, finished, outcome,
		message, exit_code, signal, cpu_us, max_rss, quarantine)
		SELECT id, attempt, node, instance, program_sha256, started, finished, outcome, ?, exit_code, signal, cpu_us, max_rss, quarantine
		FROM jobs WHERE id = ? AND outcome <> ''`)
	qQueueAgain = engine.NewQuery(`UPDATE jobs SET state = ?, finished = 0, updated = ?, not_before = ?, start_after = ?, expires = ?, spent = 0,
		crashes = 0, alone_crashes = 0, fetch_since = 0, fetch_tries = 0, cancel_requested = 0, outcome = '', exit_code = 0, signal = '', cpu_us = 0, max_rss = 0,
		server = '', message = 0, reason = ?, error = '', due = ?, look_at = CASE WHEN keep = '' THEN 0 ELSE ? END WHERE id = ? AND state = ?`)
	qDescribe = engine.NewQuery("UPDATE jobs SET program = ?, priority = ?, created = ?, labels = ?, webhook = ?, target = ?, keep = ?, look_at = ? WHERE id = ?")
)

// queueAgain queues a failed or cancelled job again. It drops an expiry that has passed,
// because a person wants the job to run.
func queueAgain(t *txn, verb Verb, by string, r *Record, target *Target) (refusal, err error) {
	job := target.Job
	if job == nil && r.Error != nil && r.Error.Class == jobs.ClassDocument {
		return ErrDocument, nil
	}
	needs, err := needsOf(r, job)
	if err != nil {
		return ErrDocument, nil
	}
	open, refusal, err := openNeeds(t, needs)
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
	for _, need := range open {
		if err := t.addNeed(need, r.ID, jobs.Waiting); err != nil {
			return nil, err
		}
		state, reason = jobs.Waiting, waitText(len(open))
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
	return nil, dropLive(t, r.ID)
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
	if known, err := t.announced(next.Program); err != nil || known {
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

// needsOf returns the ids of the jobs that a job needs, from its document.
func needsOf(r *Record, job *jobs.Job) ([]string, error) {
	if job != nil {
		return job.Needs, nil
	}
	doc, err := jobs.Read(r.Document)
	return doc.Needs, err
}

// openNeeds returns the needs that have not ended. refusal names a need that ended
// without success.
func openNeeds(t *txn, needs []string) (open []string, refusal, err error) {
	for _, need := range needs {
		state, err := t.state(need)
		switch {
		case err != nil:
			return nil, nil, err
		case state == jobs.Succeeded:
		case state.Final():
			return nil, fmt.Errorf("%s, retry that first: %w", needText(need, state), ErrNeeds), nil
		case state == "":
			return nil, fmt.Errorf("job %s, which it needs, is not known: %w", need, ErrNeeds), nil
		default:
			open = append(open, need)
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
	if err != nil {
		return err
	}
	return c.label(t, r.Accepted)
}
