package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/loops"
	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/jobs"
)

var (
	qEnding = engine.NewQuery(`SELECT state, attempt, cancel_requested, node, program, started, due, webhook, target, crashes, alone_crashes, quarantine, fetch_since, fetch_tries, start_after, interruptions, longest_interrupted,
		EXISTS (SELECT 1 FROM needs WHERE need = jobs.id), EXISTS (SELECT 1 FROM live WHERE job = jobs.id), loop <> '' FROM jobs WHERE id = ?`)
	qFinish = engine.NewQuery(`UPDATE jobs SET state = ?, finished = ?, updated = ?, not_before = ?, reason = ?, error = ?,
		spent = (spent + ?) * ?, crashes = (crashes + ?) * ?, alone_crashes = (alone_crashes + ?) * ?, cancel_requested = 0, outcome = ?, exit_code = ?, signal = ?,
		cpu_us = ?, max_rss = ?, due = ?, fetch_since = ?, fetch_tries = ?, interruptions = ?, longest_interrupted = ?
		WHERE id = ? AND state = 'running' AND attempt = ? AND cancel_requested = ?`)
	// qSucceed is qFinish for a success of which the claim has told all that matters.
	qSucceed = engine.NewQuery(`UPDATE jobs SET state = 'succeeded', finished = ?, updated = ?, not_before = start_after, reason = '', error = '',
		outcome = ?, exit_code = ?, signal = ?, cpu_us = ?, max_rss = ?, fetch_since = 0, fetch_tries = 0
		WHERE id = ? AND state = 'running' AND attempt = ? AND cancel_requested = 0 AND webhook = '' AND target = '' AND loop = ''
		AND NOT EXISTS (SELECT 1 FROM needs WHERE need = jobs.id) AND NOT EXISTS (SELECT 1 FROM live WHERE job = jobs.id)`)
	qAttempt = engine.NewQuery(`INSERT INTO attempts (job, number, node, instance, program_sha256, started, finished, outcome,
		message, exit_code, signal, cpu_us, max_rss, quarantine)
		SELECT id, attempt, node, instance, program_sha256, started, ?, ?, ?, exit_code, signal, cpu_us, max_rss, quarantine
		FROM jobs WHERE id = ?`)
)

// Finish ends an attempt. It returns the jobs that are queued as a result. If a cancel
// was requested and the ending would queue the job again, the job is cancelled. If a
// reset was requested, any ending but a success queues it again with its budgets
// cleared. The result of a success is written in the same transaction. It returns ErrStale
// or ErrUnknown if the attempt does not own the job.
func (l *Ledger) Finish(ctx context.Context, id string, attempt int, e Ending) (released []Record, err error) {
	e, err = checkEnding(e)
	if err != nil {
		return nil, fmt.Errorf("ledger: finish: %w", err)
	}
	// A transaction takes results of about 16 MiB at most.
	weight := 1 + len(e.Result)>>13
	err = l.do(ctx, &op{name: "finish", weight: weight, run: func(t *txn) (err error) {
		e := e // finish may change it
		released, err = t.finish(id, attempt, &e)
		return err
	}})
	if err != nil {
		return nil, engine.Wrap("finish", err)
	}
	return released, nil
}

// finishTries is how often Finish reads a job again that changed after it was read. In
// SQLite none does, because one transaction writes at a time.
const finishTries = 5

// succeed ends a plain success of a job that this process has claimed: one without webhook,
// delivery, loop, dependents and reports of the running program, of which nothing was requested.
// It returns false for any other.
func succeed(t *txn, id string, attempt int, e *Ending) (r running, done bool, err error) {
	c, known := t.claimed.Take(id)
	if !known || c.attempt != attempt || e.State != jobs.Succeeded || e.Inputs != InputsHad || e.Shutdown || Spends(e.Outcome) || e.Outcome == jobs.OutcomeLost {
		return running{}, false, nil
	}
	now := engine.Micros(t.now)
	n, err := t.Exec(qSucceed, now, now, string(e.Outcome), e.ExitCode, e.Signal, e.CPU.Microseconds(), e.MaxRSS, id, attempt)
	return running{node: c.node, program: c.program, started: c.started, due: c.due}, n > 0, err
}

func (t *txn) finish(id string, attempt int, e *Ending) ([]Record, error) {
	ended, done, err := succeed(t, id, attempt, e)
	if err == nil && !done {
		ended, err = t.finishRow(id, attempt, e)
	}
	if err != nil {
		return nil, err
	}
	t.count(ended.program, jobs.Running, e.State)
	t.ended(ended.end(id, attempt, e, t.now))
	t.Changed(id)
	if e.State != jobs.Succeeded {
		t.note(endKind(e), id, ended.node, endText(e, attempt))
	}
	if e.State == jobs.Queued {
		return nil, keepAttempt(t, id, e)
	}
	if e.State == jobs.Succeeded && e.Result != nil {
		if err := results.Insert(t, id, e.Result); err != nil {
			return nil, err
		}
	}
	if ended.live && e.State == jobs.Succeeded {
		if err := dropLive(t, id); err != nil {
			return nil, err
		}
	}
	var released []Record
	if ended.repeats && e.State == jobs.Succeeded {
		if released, err = t.repeat(id); err != nil {
			return nil, err
		}
	}
	if !ended.needed {
		return released, nil
	}
	dependents, err := t.updateDependents(id, e.State)
	return append(released, dependents...), err
}

// repeat makes the next job of a loop of which a job has succeeded.
func (t *txn) repeat(id string) (next []Record, err error) {
	r, found, err := t.get(id)
	var submitter string
	if err == nil && found {
		_, err = t.Row(qSubmitter, []any{id}, &submitter)
	}
	if err != nil || !found {
		return nil, err
	}
	return next, loops.Succeeded(t, id, r.Document, func(j loops.Job) (made bool, refused, err error) {
		c := newCandidate(&Entry{Job: j.Job, Document: j.Document, Submitter: submitter, Loop: j.Loop, Run: j.Run})
		a, err := c.accept(t)
		if a.New {
			next = append(next, a.Record)
		}
		return a.New, a.Err, err
	})
}

// running reads a job that the attempt still owns. It returns ErrStale or ErrUnknown
// otherwise.
func (t *txn) running(id string, attempt int) (r running, err error) {
	var state jobs.State
	var newest int
	found, err := t.Row(qEnding, []any{id}, (*string)(&state), &newest, &r.requested, &r.node,
		&r.program, &r.started, &r.due, &r.webhook, &r.target, &r.crashes, &r.alone, &r.quarantined, &r.fetchSince, &r.fetchTries, &r.startAfter, &r.interruptions, &r.longest, &r.needed, &r.live, &r.repeats)
	switch {
	case err != nil:
		return r, err
	case !found:
		return r, ErrUnknown
	case state != jobs.Running || newest != attempt:
		return r, ErrStale
	}
	return r, nil
}

// finishRow changes the row of the job if the attempt still owns it. It applies to e
// what a person asked for.
func (t *txn) finishRow(id string, attempt int, e *Ending) (running, error) {
	for range finishTries {
		r, err := t.running(id, attempt)
		if err != nil {
			return r, err
		}
		r.applyRequest(e)
		r.noteQuarantine(e)
		r.noteInterruptions(e, engine.Micros(t.now))
		n, err := t.Exec(qFinish, r.args(id, attempt, e, t.now)...)
		if err != nil || n > 0 {
			return r, err
		}
	}
	return running{}, errors.New("the job keeps changing")
}

func (r *running) args(id string, attempt int, e *Ending, now time.Time) []any {
	keep := engine.Bool(requestedVerb(r.requested) != VerbReset)
	lost := e.Outcome == jobs.OutcomeLost
	done, outcome, due := engine.Micros(now), e.Outcome, r.due
	notBefore := max(engine.Micros(e.NotBefore), r.startAfter)
	if e.State == jobs.Queued {
		done, outcome, due = 0, "", max(engine.Micros(now), notBefore)
	}
	since, tries := r.inputs(e, engine.Micros(now))
	interruptions, longest := r.interrupted(e, engine.Micros(now))
	return []any{
		string(e.State), done, engine.Micros(now), notBefore, e.Reason, errorText(e.Error),
		engine.Bool(Spends(e.Outcome)), keep, engine.Bool(lost), keep, engine.Bool(lost && r.quarantined), keep,
		string(outcome), e.ExitCode, e.Signal, e.CPU.Microseconds(), e.MaxRSS, due, since, tries, interruptions, longest,
		id, attempt, r.requested,
	}
}

// keepAttempt copies the attempt that has just ended to the history, because the next
// attempt overwrites it.
func keepAttempt(t *txn, id string, e *Ending) error {
	message := e.Reason
	if e.Error != nil && e.Error.Message != "" {
		message = e.Error.Message
	}
	return t.Queue(qAttempt, engine.Micros(t.now), string(e.Outcome), message, id)
}
