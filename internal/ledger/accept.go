package ledger

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/cycle"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/loops"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/ledger/samejob"
	"github.com/runnerbean/runnerbean/internal/ledger/states"
	"github.com/runnerbean/runnerbean/jobs"
)

// Accepted is the result for one Entry.
type Accepted struct {
	// New is false if the ledger held the id already.
	New bool
	// Err is a *Conflict if the id is known with another document, a *retention.Deleted if
	// the job was deleted, and engine.ErrTooBig if a value is too large to record.
	Err error
	// Record is the current state of the job.
	Record Record
}

// Accept records documents in one transaction, in order. The result has one Accepted per
// entry, with the same index. The error concerns all entries.
func (l *Ledger) Accept(ctx context.Context, entries []Entry) ([]Accepted, error) {
	return AcceptEarly(ctx, l, entries, func([]Accepted) {})
}

// AcceptEarly is [Ledger.Accept]. It calls committed after the commit, while the disk takes
// it. A power cut in that moment undoes the acceptance, so nobody may be told of it before
// AcceptEarly returns. For an id that is known with other bytes Err is ErrConflict until then.
func AcceptEarly(ctx context.Context, l *Ledger, entries []Entry, committed func([]Accepted)) ([]Accepted, error) {
	candidates := make([]candidate, len(entries))
	for i := range entries {
		candidates[i] = newCandidate(&entries[i])
	}
	accepted := make([]Accepted, len(entries))
	o := &op{name: "accept", weight: len(entries), early: true, run: func(t *txn) error {
		for i := range candidates {
			a, err := candidates[i].accept(t)
			if err != nil {
				return err
			}
			accepted[i] = a
		}
		return nil
	}}
	err := l.do(ctx, o)
	if err == nil {
		committed(accepted)
		err = o.synced()
	}
	if err == nil {
		err = compareKnown(ctx, l, candidates, accepted)
	}
	if err != nil {
		return nil, engine.Wrap("accept", err)
	}
	return accepted, nil
}

// compareKnown decides on the documents whose id is known with other bytes: only another job
// is a conflict. It does so after the transaction, so that large documents do not hold
// up the writer.
func compareKnown(ctx context.Context, l *Ledger, candidates []candidate, accepted []Accepted) error {
	var events []eventlog.Event
	for i := range accepted {
		if accepted[i].Err != ErrConflict {
			continue
		}
		err := candidates[i].difference(ctx, l)
		var conflict *Conflict
		var deleted *retention.Deleted
		switch {
		case errors.As(err, &conflict):
			accepted[i].Err = conflict
			events = append(events, eventlog.Event{Kind: eventlog.KindConflict, Job: candidates[i].record.ID, Message: conflict.event()})
		case errors.As(err, &deleted):
			accepted[i].Err = deleted
		case err != nil:
			return err
		default:
			accepted[i].Err = nil
		}
	}
	if len(events) == 0 {
		return nil
	}
	return l.Events.NoteAll(ctx, events)
}

// difference returns a *Conflict if the ledger holds another job under the id.
func (c *candidate) difference(ctx context.Context, l *Ledger) error {
	first, err := l.Get(ctx, c.record.ID)
	if err != nil {
		return err
	}
	at, same, err := samejob.Difference(first.Document, c.entry.Document, func(url string) (bool, error) {
		return l.Outbox.Serves(ctx, url)
	})
	if err != nil || same {
		return err
	}
	return &Conflict{Pointer: at}
}

var (
	qInsertJob = engine.NewQuery(`INSERT INTO jobs (id, program, state, priority, created, accepted, not_before, expires,
		started, finished, updated, attempt, spent, crashes, cancel_requested, node, instance, program_sha256,
		outcome, exit_code, signal, cpu_us, max_rss, server, message, reason, error, labels, due, webhook, target, submitter, start_after, keep, look_at, batch, frame)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, 0, 0, 0, 0, '', '', '', '', 0, '', 0, 0, '', 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
		WHERE NOT EXISTS (SELECT 1 FROM deleted WHERE id = ?) ON CONFLICT (id) DO NOTHING`)
	qInsertDocument = engine.NewQuery("INSERT INTO documents (id, document) VALUES (?, ?)")
)

// accept records one document. Accepted.Err says why it did not.
func (c *candidate) accept(t *txn) (Accepted, error) {
	if c.err != nil {
		return Accepted{Err: c.err}, nil
	}
	r := c.record
	r.Accepted, r.Updated, r.State, r.Due = t.now, t.now, jobs.Queued, engine.Later(t.now, c.record.NotBefore)
	if c.entry.Fault != nil {
		r.State, r.Finished, r.Due = jobs.Failed, t.now, time.Time{}
	}
	target, err := t.outbox.Elsewhere(t, c.target)
	if err != nil {
		return Accepted{}, err
	}
	n, err := t.Exec(qInsertJob, r.ID, r.Program, string(r.State), int64(r.Priority), engine.Micros(r.Created), engine.Micros(r.Accepted),
		engine.Micros(r.NotBefore), engine.Micros(r.Expires), engine.Micros(r.Finished), engine.Micros(r.Updated), r.Reason, errorText(r.Error), c.labels, engine.Micros(r.Due), c.webhook, target,
		engine.Clean(c.entry.Submitter, engine.MaxName), engine.Micros(r.StartAfter), c.keep(), c.lookAt(t.now), c.entry.Batch, c.entry.Frame, r.ID)
	if err != nil {
		return Accepted{}, err
	}
	if n == 0 {
		return c.known(t)
	}
	if err := c.describe(t); err != nil {
		return Accepted{}, err
	}
	t.count(r.Program, "", r.State)
	t.Changed(r.ID)
	if c.entry.Fault != nil {
		t.note(eventlog.KindFault, r.ID, "", faultText(r.Error))
		if err := c.faulty(t, &r); err != nil {
			return Accepted{}, err
		}
	}
	if err := c.connect(t, &r); err != nil {
		return Accepted{}, err
	}
	if r.State == jobs.Queued && !r.waits(t.now) {
		own := r
		own.Document = bytes.Clone(r.Document) // the caller's may be a part of something large
		t.accepted.Add(r.ID, own, len(own.Document), t.now)
	}
	return Accepted{New: true, Record: r}, nil
}

func faultText(e *jobs.Error) string {
	if e.Pointer == "" {
		return e.Message
	}
	return e.Message + " (at " + e.Pointer + ")"
}

// describe writes the parts of a job that never change.
func (c *candidate) describe(t *txn) error {
	if c.entry.Job.Repeat > 0 {
		if err := loops.Join(t, c.record.ID, c.entry.Loop, c.entry.Run); err != nil {
			return err
		}
	}
	if err := t.Queue(qInsertDocument, c.record.ID, c.entry.Document); err != nil {
		return err
	}
	return c.label(t, t.now)
}

// known returns the result for an id that the ledger holds already, or that was deleted.
func (c *candidate) known(t *txn) (Accepted, error) {
	if d, err := retention.Find(t, c.record.ID); err != nil || d != nil {
		return Accepted{Err: d, Record: Record{ID: c.record.ID}}, err
	}
	r, _, err := t.get(c.record.ID)
	if err != nil {
		return Accepted{}, err
	}
	if !bytes.Equal(r.Document, c.entry.Document) {
		return Accepted{Err: ErrConflict, Record: r}, nil // unless compareKnown finds the same job in it
	}
	return Accepted{Record: r}, nil
}

// connect links a new job with the jobs that it needs and with those that need it.
func (c *candidate) connect(t *txn, r *Record) error {
	wanted, err := t.wanted(r.ID)
	if err != nil {
		return err
	}
	if c.entry.Fault == nil && len(c.entry.Job.Needs) > 0 {
		if err := c.need(t, r, wanted); err != nil {
			return err
		}
	}
	if c.entry.Awaits != "" && !r.State.Final() {
		if err := awaitNew(t, r, c.entry.Awaits); err != nil {
			return err
		}
	}
	if wanted && r.State == jobs.Failed {
		_, err = t.updateDependents(r.ID, jobs.Failed)
	}
	return err
}

// need makes a queued job wait for the jobs that it needs. The job fails if one of them
// has failed, unless its document says that it runs then.
func (c *candidate) need(t *txn, r *Record, wanted bool) error {
	job := &c.entry.Job
	needs := slices.Compact(slices.Sorted(slices.Values(job.Needs)))
	known, err := states.OfAll(t, needs)
	if err != nil {
		return err
	}
	var open []openNeed
	for _, id := range needs {
		switch state := known[id]; {
		case id == r.ID:
			return failNew(t, r, "it needs itself")
		case state == jobs.Succeeded || state.Final() && job.NeedsFailed == jobs.NeedsRun:
		case state.Final():
			if err := addUnmet(t, r.ID, needs, known); err != nil {
				return err
			}
			return failNew(t, r, needText(id, state))
		default:
			open = append(open, openNeedOf(t, id, state, job.NeedsTimeout))
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := addNeeds(t, r.ID, open, job.NeedsFailed == jobs.NeedsRun); err != nil {
		return err
	}
	if wanted {
		if round, err := cycle.Find(t, r.ID); err != nil || round != "" {
			if err == nil {
				err = failNew(t, r, round)
			}
			return err
		}
	}
	return waitNew(t, r, len(open))
}

var (
	qWait  = engine.NewQuery("UPDATE jobs SET state = 'waiting', reason = ?, due = 0 WHERE id = ? AND state = 'queued'")
	qAwait = engine.NewQuery("UPDATE jobs SET state = 'waiting', reason = ?, due = 0 WHERE id = ? AND state IN ('queued', 'waiting')")
)

// waitNew makes a job that was just inserted wait.
func waitNew(t *txn, r *Record, open int) error {
	r.State, r.Reason, r.Due = jobs.Waiting, waitText(open), time.Time{}
	t.count(r.Program, jobs.Queued, jobs.Waiting)
	_, err := t.Exec(qWait, r.Reason, r.ID)
	return err
}

// awaitNew makes a new job wait for its program, unless a node has announced it since.
func awaitNew(t *txn, r *Record, reason string) error {
	if known, err := announced(t, r.Program); err != nil || known {
		return err
	}
	if err := t.await(r); err != nil {
		return err
	}
	t.countOne(r.Program, r.State, -1)
	t.countOne("", jobs.Waiting, 1)
	if r.Reason != "" {
		reason = r.Reason + "; " + reason
	}
	r.State, r.Reason, r.Due = jobs.Waiting, engine.Clean(reason, engine.MaxReason), time.Time{}
	_, err := t.Exec(qAwait, r.Reason, r.ID)
	return err
}

// failNew makes a job that was just inserted fail.
func failNew(t *txn, r *Record, why string) error {
	r.State, r.Finished = jobs.Failed, t.now
	r.Error = &jobs.Error{Class: jobs.ClassNeeds, Message: why}
	return t.fail(r.ID, jobs.Queued, r.Error, eventlog.KindFailed)
}

// faulty counts a job whose document has a fault. All programs that no node has
// announced are counted as one, because such a document may name any program.
func (c *candidate) faulty(t *txn, r *Record) error {
	target, err := t.outbox.Elsewhere(t, c.target)
	if err != nil {
		return err
	}
	v := &end{job: r.ID, name: r.Program, webhook: c.webhook, target: target, Ended: activity.Ended{
		EndedKey: activity.EndedKey{Program: r.Program, State: r.State, Class: r.Error.Class, Bin: activity.NoBin}, N: 1,
	}}
	known, err := announced(t, r.Program)
	if !known {
		v.Program = ""
	}
	t.ended(v)
	return err
}
