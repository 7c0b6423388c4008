package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/loops"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
)

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
		if err == nil && verb == VerbEndLoop { // of which the first job may have been deleted
			a.Record, a.Err, err = endOldLoop(t, by, target.ID, a.Err)
		}
	}
	if err != nil || !found {
		return a, err
	}
	if !target.Updated.IsZero() && !target.Updated.Equal(r.Updated) {
		a.Record, a.Err = r, engine.ErrChanged
		return a, nil
	}
	refusal, err := change(t, verb, by, &r, target)
	if err == nil && refusal == nil && verb == VerbReset {
		err = checkpoints.Drop(t, r.ID)
	}
	if err != nil {
		return a, err
	}
	if target.Dependents && verb == VerbRetry {
		before := refusal
		if refusal, err = withDependents(t, by, r.ID, refusal); err != nil {
			return a, err
		}
		a.Untouched = before != nil && refusal == nil
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

// withDependents makes Revive queue the dependents of a job that was retried, or that
// needs no retry. It returns the refusal that remains.
func withDependents(t *txn, by, id string, refusal error) (error, error) {
	if refusal != nil && !errors.Is(refusal, ErrNotEnded) && !errors.Is(refusal, ErrFinal) {
		return refusal, nil
	}
	some, err := reviveDependents(t, by, id, engine.Micros(t.now))
	if some {
		refusal = nil
	}
	return refusal, err
}

// change applies a verb to one job, or returns why not.
func change(t *txn, verb Verb, by string, r *Record, target *Target) (refusal, err error) {
	again := verb == VerbRetry || verb == VerbReset
	switch {
	case verb == VerbDelete:
		return deleteJob(t, by, r)
	case verb == VerbEndLoop:
		return endLoop(t, by, r.ID)
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
	case r.State == jobs.Running && verb == VerbCheckpoint:
		return checkpoints.Ask(t, r.ID, r.Attempt, checkpoints.Runner{Instance: r.Instance, Node: r.Node, Program: r.Program}, by)
	case r.State == jobs.Running:
		return nil, request(t, verb, by, r)
	case verb == VerbStop, verb == VerbCheckpoint:
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
	qResetIdle = engine.NewQuery(`UPDATE jobs SET spent = 0, crashes = 0, alone_crashes = 0, fetch_since = 0, fetch_tries = 0, interruptions = 0, longest_interrupted = 0, not_before = start_after, reason = ?, updated = ?, due = ?, server = '', message = 0
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
	e := &jobs.Error{Class: jobs.OutcomeCancelled, Message: strings.TrimSuffix("cancelled by "+by, " by ")}
	done, err := t.endIdle(qCancel, r.ID, r.State, jobs.Cancelled, e)
	if err != nil || !done {
		return err
	}
	t.Changed(r.ID)
	t.Note(by, eventlog.KindCancelled, r.ID, "", fmt.Sprintf("was %s", r.State))
	if err := dropNeeds(t, r.ID); err != nil {
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

// endLoop ends the loop of a job for good, and cancels its newest job, which may be another one.
func endLoop(t *txn, by, id string) (refusal, err error) {
	newest, err := loops.End(t, by, id)
	if err != nil || newest == "" {
		return ErrNoLoop, err
	}
	r, found, err := t.get(newest)
	if err != nil || !found || r.State.Final() {
		return nil, err
	}
	return change(t, VerbCancel, by, &r, &Target{ID: newest})
}

// endOldLoop is endLoop for the id of a job that the ledger does not hold. It returns the newest
// job of the loop, or unknown if there is none.
func endOldLoop(t *txn, by, id string, unknown error) (r Record, refusal, err error) {
	newest, err := loops.End(t, by, id)
	if err != nil || newest == "" {
		return r, unknown, err
	}
	if refusal, err = endLoop(t, by, newest); err == nil {
		r, _, err = t.get(newest)
	}
	return r, refusal, err
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
