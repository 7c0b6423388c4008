package ledger

import (
	"context"
	"fmt"

	"github.com/runnerbean/runnerbean/jobs"
)

var (
	qClaim = newQuery(`UPDATE jobs SET state = 'running', attempt = attempt + 1, started = ?, updated = ?, node = ?,
		instance = ?, program_sha256 = ?, server = '', message = 0, reason = ''
		WHERE id = ? AND state = 'queued' AND not_before <= ? AND (expires = 0 OR expires > ?)
		RETURNING program, priority, created, accepted, not_before, expires, attempt, spent, crashes, error, labels, ` + documentColumn)
	qBeatOf = newQuery("SELECT beat FROM nodes WHERE instance = ?")
)

// Claim takes a queued job that is due to running and makes the caller the
// owner of its next attempt. A job that has expired fails instead. Where the
// claim is refused, the answer says how the job stands. ErrUnknown.
func (l *Ledger) Claim(ctx context.Context, id string, o Owner, programSHA256 string) (Claim, error) {
	node, instance, sum := clean(o.Node, maxName), clean(o.Instance, maxName), clean(programSHA256, maxName)
	var claim Claim
	err := l.do(ctx, &op{weight: 1, run: func(t *txn) (err error) {
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
	now := micros(t.now)
	ok, err := t.change(qClaim, []any{now, now, node, instance, sum, id, now, now}, &r.Program, &r.Priority, &r.created,
		&r.accepted, &r.notBefore, &r.expires, &r.Attempt, &r.Spent, &r.Crashes, &r.errText, &r.labels, &r.document)
	if err != nil {
		return Claim{}, err
	}
	if !ok {
		return t.refuse(id)
	}
	t.count(jobs.Queued, jobs.Running)
	t.touched(id)
	// The rest was just written, so it need not be read.
	r.ID, r.State, r.started, r.updated, r.Node, r.Instance = id, jobs.Running, now, now, node, instance
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

// alive reports whether an instance has renewed its heartbeat within the lease.
func (t *txn) alive(instance string) (bool, error) {
	var beat int64
	_, err := t.row(qBeatOf, []any{instance}, &beat)
	return beat > micros(t.now.Add(-t.l.lease)), err
}
