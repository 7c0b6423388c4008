package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

// Bounds of a document. A job above them is refused.
const (
	maxDocument = 1 << 20 // bytes
	maxLabels   = 64
	maxLabel    = 1152 // bytes: what the schema allows in characters, with the key
	maxNeeds    = 1 << 15
)

// Accept records documents in one transaction, as if one after the other. What
// became of each is in the Accepted with the same index; the error is for all.
func (l *Ledger) Accept(ctx context.Context, entries []Entry) ([]Accepted, error) {
	candidates := make([]candidate, len(entries))
	for i := range entries {
		candidates[i] = newCandidate(&entries[i])
	}
	accepted := make([]Accepted, len(entries))
	err := l.do(ctx, &op{name: "accept", weight: len(entries), run: func(t *txn) error {
		for i := range candidates {
			a, err := t.accept(&candidates[i])
			if err != nil {
				return err
			}
			accepted[i] = a
		}
		return nil
	}})
	if err != nil {
		return nil, fmt.Errorf("ledger: accept: %w", err)
	}
	return accepted, nil
}

// candidate is an Entry with all made ready that needs no transaction.
type candidate struct {
	*Entry
	record Record
	digest [sha256.Size]byte
	labels string
	// webhook is whom the document wants to be told of the end.
	webhook string
	// target is where the document wants its result.
	target string
	err    error
}

func newCandidate(e *Entry) candidate {
	j := &e.Job
	if e.Document == nil {
		e.Document = []byte{}
	}
	c := candidate{Entry: e, digest: digest(e.Document), labels: labelsText(j.Labels), webhook: engine.Clean(j.Webhook, engine.MaxURL), target: engine.Clean(j.Result.URL, engine.MaxURL)}
	c.record = Record{
		ID: j.ID, Program: engine.Clean(j.Program, engine.MaxName), Priority: j.EffectivePriority(),
		Document: e.Document, Labels: j.Labels,
		Created: engine.Trunc(j.Created), NotBefore: engine.Trunc(j.NotBefore), Expires: engine.Trunc(j.Expires),
		Error: cleanError(e.Fault),
	}
	c.err = c.check()
	return c
}

func (c *candidate) check() error {
	switch {
	case c.Job.ID == "" || len(c.Job.ID) > engine.MaxID || engine.Clean(c.Job.ID, engine.MaxID) != c.Job.ID:
		return fmt.Errorf("id: %w", engine.ErrTooBig)
	case len(c.Document) > maxDocument:
		return fmt.Errorf("document: %w", engine.ErrTooBig)
	case len(c.Job.Needs) > maxNeeds:
		return fmt.Errorf("needs: %w", engine.ErrTooBig)
	case len(c.Job.Labels) > maxLabels:
		return fmt.Errorf("labels: %w", engine.ErrTooBig)
	}
	for k, v := range c.Job.Labels {
		if len(k)+len(v) >= maxLabel {
			return fmt.Errorf("label %q: %w", k, engine.ErrTooBig)
		}
	}
	for _, n := range c.Job.Needs {
		if len(n) > engine.MaxID {
			return fmt.Errorf("needs: %w", engine.ErrTooBig)
		}
	}
	return nil
}

// digest is the same for documents that differ in white space only.
func digest(document []byte) [sha256.Size]byte {
	var b bytes.Buffer
	if json.Compact(&b, document) != nil {
		return sha256.Sum256(document)
	}
	return sha256.Sum256(b.Bytes())
}

var (
	qInsertJob = engine.NewQuery(`INSERT INTO jobs (id, program, state, priority, created, accepted, not_before, expires,
		started, finished, updated, attempt, spent, crashes, cancel_requested, node, instance, program_sha256,
		outcome, exit_code, signal, cpu_us, max_rss, server, message, reason, error, labels, due, webhook, target, submitter)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, 0, 0, 0, 0, '', '', '', '', 0, '', 0, 0, '', 0, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO NOTHING`)
	qInsertDocument = engine.NewQuery("INSERT INTO documents (id, digest, document) VALUES (?, ?, ?)")
	qInsertLabel    = engine.NewQuery("INSERT INTO labels (label, accepted, job) VALUES (?, ?, ?) ON CONFLICT (label, accepted, job) DO NOTHING")
	qInsertNeed     = engine.NewQuery("INSERT INTO needs (need, job, deadline) VALUES (?, ?, ?) ON CONFLICT (need, job) DO NOTHING")
	qState          = engine.NewQuery("SELECT state FROM jobs WHERE id = ?")
	qDigest         = engine.NewQuery("SELECT digest FROM documents WHERE id = ?")
)

// accept records one candidate or says why not.
func (t *txn) accept(c *candidate) (Accepted, error) {
	if c.err != nil {
		return Accepted{Err: c.err}, nil
	}
	r := c.record
	r.Accepted, r.Updated, r.State, r.Due = t.now, t.now, jobs.Queued, engine.Later(t.now, c.record.NotBefore)
	if c.Fault != nil {
		r.State, r.Finished, r.Due = jobs.Failed, t.now, time.Time{}
	}
	n, err := t.Exec(qInsertJob, r.ID, r.Program, string(r.State), int64(r.Priority), engine.Micros(r.Created), engine.Micros(r.Accepted),
		engine.Micros(r.NotBefore), engine.Micros(r.Expires), engine.Micros(r.Finished), engine.Micros(r.Updated), r.Reason, errorText(r.Error), c.labels, engine.Micros(r.Due), c.webhook, t.l.Outbox.Elsewhere(c.target),
		engine.Clean(c.Submitter, engine.MaxName))
	if err != nil {
		return Accepted{}, err
	}
	if n == 0 {
		return t.known(c)
	}
	if err := t.describe(c); err != nil {
		return Accepted{}, err
	}
	t.count(r.Program, "", r.State)
	t.Changed(r.ID)
	if c.Fault != nil {
		t.note(eventlog.KindFault, r.ID, "", faultText(r.Error))
		if err := t.faulty(&r, c); err != nil {
			return Accepted{}, err
		}
	}
	if err := t.connect(c, &r); err != nil {
		return Accepted{}, err
	}
	return Accepted{New: true, Record: r}, nil
}

func faultText(e *jobs.Error) string {
	if e.Pointer == "" {
		return e.Message
	}
	return e.Message + " (at " + e.Pointer + ")"
}

// describe writes what never changes.
func (t *txn) describe(c *candidate) error {
	if _, err := t.Exec(qInsertDocument, c.record.ID, c.digest[:], c.Document); err != nil {
		return err
	}
	return t.label(c, t.now)
}

// label lists a job under its labels.
func (t *txn) label(c *candidate, accepted time.Time) error {
	for k, v := range c.Job.Labels {
		if _, err := t.Exec(qInsertLabel, engine.Clean(k+"="+v, maxLabel), engine.Micros(accepted), c.record.ID); err != nil {
			return err
		}
	}
	return nil
}

// known answers for an id that the ledger holds already.
func (t *txn) known(c *candidate) (Accepted, error) {
	r, _, err := t.get(c.record.ID)
	if err != nil {
		return Accepted{}, err
	}
	var d []byte
	if _, err := t.Row(qDigest, []any{c.record.ID}, &d); err != nil {
		return Accepted{}, err
	}
	if bytes.Equal(d, c.digest[:]) {
		return Accepted{Record: r}, nil
	}
	t.note(eventlog.KindConflict, r.ID, "", "another document came under this id; the first one stands")
	return Accepted{Err: ErrConflict, Record: r}, nil
}

// connect links a new job with those that it needs and those that need it.
func (t *txn) connect(c *candidate, r *Record) error {
	wanted, err := t.wanted(r.ID)
	if err != nil {
		return err
	}
	if c.Fault == nil && len(c.Job.Needs) > 0 {
		if err := t.need(c, r, wanted); err != nil {
			return err
		}
	}
	if c.Awaits != "" && !r.State.Final() {
		if err := t.awaitNew(r, c.Awaits); err != nil {
			return err
		}
	}
	if wanted && r.State == jobs.Failed {
		_, err = t.settle(r.ID, jobs.Failed)
	}
	return err
}

// need makes a queued job wait, or fail, for the jobs that it needs.
func (t *txn) need(c *candidate, r *Record, wanted bool) error {
	open := 0
	for _, id := range slices.Compact(slices.Sorted(slices.Values(c.Job.Needs))) {
		state, err := t.state(id)
		switch {
		case err != nil:
			return err
		case id == r.ID:
			return t.failNew(r, "it needs itself")
		case state == jobs.Succeeded:
			continue
		case state.Final():
			return t.failNew(r, needText(id, state))
		}
		open++
		if err := t.addNeed(id, r.ID, state); err != nil {
			return err
		}
	}
	if open == 0 {
		return nil
	}
	if wanted {
		if round, err := t.circular(r.ID); err != nil || round != "" {
			if err == nil {
				err = t.failNew(r, round)
			}
			return err
		}
	}
	return t.waitNew(r, open)
}

func needText(id string, state jobs.State) string {
	return fmt.Sprintf("job %s, which it needs, is %s", id, state)
}

func (t *txn) addNeed(need, job string, state jobs.State) error {
	deadline := int64(0)
	if state == "" {
		deadline = engine.Micros(t.now.Add(missingLimit))
		t.missing = new(true)
	}
	_, err := t.Exec(qInsertNeed, need, job, deadline)
	return err
}

// state is "" for a job that the ledger has never seen.
func (t *txn) state(id string) (s jobs.State, err error) {
	_, err = t.Row(qState, []any{id}, (*string)(&s))
	return s, err
}

var (
	qWait  = engine.NewQuery("UPDATE jobs SET state = 'waiting', reason = ?, due = 0 WHERE id = ? AND state = 'queued'")
	qAwait = engine.NewQuery("UPDATE jobs SET state = 'waiting', reason = ?, due = 0 WHERE id = ? AND state IN ('queued', 'waiting')")
)

// waitNew turns a job that was just inserted into a waiting one.
func (t *txn) waitNew(r *Record, open int) error {
	r.State, r.Reason, r.Due = jobs.Waiting, waitText(open), time.Time{}
	t.count(r.Program, jobs.Queued, jobs.Waiting)
	_, err := t.Exec(qWait, r.Reason, r.ID)
	return err
}

// awaitNew makes a new job wait for its program, unless a node has announced it
// meanwhile.
func (t *txn) awaitNew(r *Record, reason string) error {
	if known, err := t.announced(r.Program); err != nil || known {
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

func waitText(open int) string {
	if open == 1 {
		return "waits for 1 other job"
	}
	return fmt.Sprintf("waits for %d other jobs", open)
}

// failNew turns a job that was just inserted into a failed one.
func (t *txn) failNew(r *Record, why string) error {
	r.State, r.Finished = jobs.Failed, t.now
	r.Error = &jobs.Error{Class: jobs.ClassNeeds, Message: why}
	return t.fail(r.ID, jobs.Queued, r.Error, eventlog.KindFailed)
}

var (
	qAnyMissing = engine.NewQuery("SELECT 1 FROM needs WHERE deadline > 0 LIMIT 1")
	qFound      = engine.NewQuery("UPDATE needs SET deadline = 0 WHERE need = ? AND deadline > 0")
)

// wanted reports whether jobs wait for a new one, and that it is there now.
// That any job waits for one that nobody has put is rare, so it is asked once
// in a transaction.
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
