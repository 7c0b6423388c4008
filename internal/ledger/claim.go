package ledger

import (
	"context"
	"fmt"

	"github.com/runnerbean/runnerbean/jobs"
)

// Reading first and changing then is quicker than a change that returns what
// it changed; the WHERE of the change holds what was read.
var (
	qClaimable = newQuery(`SELECT program, state, priority, created, accepted, not_before, expires, attempt, spent, crashes,
		error, labels, due, document FROM jobs JOIN documents ON documents.id = jobs.id WHERE jobs.id = ?`)
	qClaim = newQuery(`UPDATE jobs SET state = 'running', attempt = ?, started = ?, updated = ?, node = ?,
		instance = ?, program_sha256 = ?, server = '', message = 0, reason = ''
		WHERE id = ? AND state = 'queued' AND attempt = ?`)
	qBeatOf = newQuery("SELECT beat FROM nodes WHERE instance = ?")
)

// Claim takes a queued job that is due to running and makes the caller the
// owner of its next attempt. A job that has expired fails instead. Where the
// claim is refused, the answer says how the job stands. ErrUnknown.
// The answer does not wait for the disk, to which the claim is brought at once:
// a power cut in that moment queues the job again, before its program has run.
func (l *Ledger) Claim(ctx context.Context, id string, o Owner, programSHA256 string) (Claim, error) {
	node, instance, sum := clean(o.Node, maxName), clean(o.Instance, maxName), clean(programSHA256, maxName)
	var claim Claim
	err := l.do(ctx, &op{name: "claim", weight: 1, early: true, run: func(t *txn) (err error) {
		claim, err = t.claim(id, node, instance, sum)
		return err
	}})
	if err != nil {
		return Claim{}, fmt.Errorf("ledger: claim: %w", err)
	}
	return claim, nil
}

func (t *txn) claim(id, node, instance, sum string) (Claim, error) {
	var r recordRow
	found, err := t.row(qClaimable, []any{id}, &r.Program, (*string)(&r.State), &r.Priority, &r.created, &r.accepted,
		&r.notBefore, &r.expires, &r.Attempt, &r.Spent, &r.Crashes, &r.errText, &r.labels, &r.due, &r.document)
	switch {
	case err != nil:
		return Claim{}, err
	case !found:
		return Claim{}, ErrUnknown
	}
	now := micros(t.now)
	r.NotBefore = fromMicros(r.notBefore)
	if r.State != jobs.Queued || r.Wait(t.now) > 0 || (r.expires > 0 && r.expires <= now) {
		return t.refuse(id)
	}
	n, err := t.exec(qClaim, r.Attempt+1, now, now, node, instance, sum, id, r.Attempt)
	if err != nil {
		return Claim{}, err
	}
	if n == 0 {
		return t.refuse(id)
	}
	t.count(r.Program, jobs.Queued, jobs.Running)
	t.touched(id)
	r.ID, r.State, r.Node, r.Instance = id, jobs.Running, node, instance
	r.Attempt, r.started, r.updated = r.Attempt+1, now, now
	record, err := r.record()
	return Claim{OK: true, Record: record}, err
}

// refuse says why a job cannot be claimed now.
func (t *txn) refuse(id string) (Claim, error) {
	r, found, err := t.get(id)
	if err == nil && !found {
		err = ErrUnknown
	}
	if err != nil {
		return Claim{}, err
	}
	if r.State == jobs.Queued && expired(&r, t) {
		if err := t.expire(&r); err != nil {
			return Claim{}, err
		}
		r, _, err = t.get(id)
		return Claim{Record: r}, err
	}
	c := Claim{Record: r}
	if r.State == jobs.Running {
		c.Alive, err = t.alive(r.Instance)
	}
	return c, err
}
