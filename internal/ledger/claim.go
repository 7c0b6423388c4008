package ledger

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Owner is the instance that claims a job.
type Owner struct {
	Instance, Node string
	// Alone is true if the node runs nothing else until the attempt has ended. Only such
	// an owner gets a job in quarantine.
	Alone bool
}

// Claim is the result of a request to run a job.
type Claim struct {
	// OK is true if the caller owns attempt Record.Attempt now.
	OK bool
	// Alive is true if the job runs under a live instance.
	Alive bool
	// Quarantine is true if the job may run now, but only alone.
	Quarantine bool
	// Record is the current state of the job.
	Record Record
}

// A read and a change are faster than a change that returns its row. The WHERE of the
// change repeats what was read.
var (
	qClaimable = engine.NewQuery(`SELECT program, state, priority, created, accepted, not_before, expires, attempt, spent, crashes,
		alone_crashes, error, labels, due, updated, fetch_since, fetch_tries, start_after, ` + engine.Document + ` FROM jobs WHERE id = ?`)
	qClaim = engine.NewQuery(`UPDATE jobs SET state = 'running', attempt = ?, started = ?, updated = ?, node = ?,
		instance = ?, program_sha256 = ?, server = '', message = 0, reason = '', quarantine = ?
		WHERE id = ? AND state = 'queued' AND attempt = ? AND updated = ?`)
)

// Claim makes the caller the owner of the next attempt of a queued job that is due. An
// expired job fails instead. A job in quarantine is given only to an owner that runs it
// alone. If the claim is refused, the result says how the job stands. It returns
// ErrUnknown for an unknown id.
// Claim returns before the claim is on the disk, but the sync starts at once. After a
// power cut in that moment the job is queued again, although its program may have begun.
func (l *Ledger) Claim(ctx context.Context, id string, o Owner, programSHA256 string) (Claim, error) {
	o.Node, o.Instance = engine.Clean(o.Node, engine.MaxName), engine.Clean(o.Instance, engine.MaxName)
	sum := engine.Clean(programSHA256, engine.MaxName)
	var claim Claim
	err := l.do(ctx, &op{name: "claim", weight: 1, early: true, run: func(t *txn) (err error) {
		claim, err = claimJob(t, id, o, sum)
		return err
	}})
	if err != nil {
		return Claim{}, engine.Wrap("claim", err)
	}
	return claim, nil
}

func claimJob(t *txn, id string, o Owner, sum string) (Claim, error) {
	if r, ok := t.accepted.Take(id); ok {
		if c, claimed, err := claimRow(t, &r, o, sum); claimed || err != nil {
			return c, err
		}
	}
	r, found, err := claimable(t, id)
	switch {
	case err != nil:
		return Claim{}, err
	case !found:
		return Claim{}, ErrUnknown
	}
	if r.State == jobs.Queued && r.RunsAlone() && !o.Alone && !r.waits(t.now) {
		claim, err := refuse(t, id)
		claim.Quarantine = claim.Record.State == jobs.Queued
		return claim, err
	}
	if c, claimed, err := claimRow(t, &r, o, sum); claimed || err != nil {
		return c, err
	}
	return refuse(t, id)
}

// claimable reads what a claim needs of a job.
func claimable(t *txn, id string) (Record, bool, error) {
	var r recordRow
	found, err := t.Row(qClaimable, []any{id}, &r.Program, (*string)(&r.State), &r.Priority, &r.created, &r.accepted,
		&r.notBefore, &r.expires, &r.Attempt, &r.Spent, &r.Crashes, &r.AloneCrashes, &r.errText, &r.labels, &r.due, &r.updated,
		&r.fetchSince, &r.FetchTries, &r.startAfter, &r.document)
	if err != nil || !found {
		return Record{}, false, err
	}
	r.ID = id
	record, err := r.record()
	return record, true, err
}

// claimRow claims a job unless it has changed since r was read.
func claimRow(t *txn, r *Record, o Owner, sum string) (c Claim, claimed bool, err error) {
	if r.State != jobs.Queued || r.waits(t.now) {
		return Claim{}, false, nil
	}
	now := engine.Micros(t.now)
	n, err := t.Exec(qClaim, r.Attempt+1, now, now, o.Node, o.Instance, sum, engine.Bool(r.RunsAlone()), r.ID, r.Attempt, engine.Micros(r.Updated))
	if err != nil || n == 0 {
		return Claim{}, false, err
	}
	t.count(r.Program, jobs.Queued, jobs.Running)
	t.Changed(r.ID)
	r.State, r.Node, r.Instance, r.Quarantined = jobs.Running, o.Node, o.Instance, r.RunsAlone()
	r.Attempt, r.Started, r.Updated = r.Attempt+1, t.now, t.now
	t.claimed.Add(r.ID, claimedJob{r.Attempt, r.Node, r.Program, engine.Micros(r.Started), engine.Micros(r.Due)}, 0, t.now)
	return Claim{OK: true, Record: *r}, true, nil
}

// refuse returns why a job cannot be claimed now.
func refuse(t *txn, id string) (Claim, error) {
	r, found, err := t.get(id)
	if err == nil && !found {
		err = ErrUnknown
	}
	if err != nil {
		return Claim{}, err
	}
	if r.State == jobs.Queued && expired(&r, t) {
		if err := expire(t, &r); err != nil {
			return Claim{}, err
		}
		r, _, err = t.get(id)
		return Claim{Record: r}, err
	}
	c := Claim{Record: r}
	if r.State == jobs.Running {
		c.Alive, err = t.nodes.Alive(t, r.Instance)
	}
	return c, err
}
