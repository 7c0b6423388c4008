package ledger

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/counters"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/live"
	"github.com/runnerbean/runnerbean/jobs"
)

var qLive = engine.NewQuery(`SELECT jobs.state, jobs.attempt, ` + live.Columns + ` FROM jobs
		LEFT JOIN live ON live.job = jobs.id AND live.attempt = jobs.attempt WHERE jobs.id = ?`)

// Report merges a report of a running program with its earlier ones. Nil and empty
// fields leave the old values. Counters are merged by name. Long messages are cut. It
// returns engine.ErrTooBig for a partial result above 256 KiB or for more than 64
// counters, and ErrStale or ErrUnknown if the attempt does not own the job. The report
// is not synced to the disk.
func (l *Ledger) Report(ctx context.Context, id string, attempt int, report Live) error {
	err := report.Check()
	if err == nil {
		err = l.do(ctx, &op{name: "report", weight: 1, soft: true, run: func(t *txn) error { return t.report(id, attempt, &report) }})
	}
	return engine.Wrap("report", err)
}

func (t *txn) report(id string, attempt int, v *Live) error {
	var state jobs.State
	var newest int
	var row live.Row
	found, err := t.Row(qLive, []any{id}, append([]any{(*string)(&state), &newest}, row.Dest()...)...)
	switch {
	case err != nil:
		return err
	case !found:
		return ErrUnknown
	case state != jobs.Running || newest != attempt:
		return ErrStale
	}
	old, err := row.Value()
	if err != nil {
		return err
	}
	merged, err := old.With(v)
	if err != nil {
		return err
	}
	if row.None() && attempt > 1 { // the report of an earlier attempt goes
		if err := counters.Keep(t, id); err != nil {
			return err
		}
	}
	t.Changed(id)
	return merged.Write(t, id, attempt)
}

// Stopping is a running attempt that is to be stopped. Verb is VerbCancel, VerbTerminate
// or VerbReset.
type Stopping struct {
	ID      string
	Attempt int
	Verb    Verb
}

var qStopping = engine.NewManyRows("SELECT id, attempt, cancel_requested FROM jobs WHERE state = 'running' AND cancel_requested > 0 AND id IN (", 0, ")")

// Cancelling lists the running attempts of jobs that are to be stopped.
func (l *Ledger) Cancelling(ctx context.Context, ids []string) (list []Stopping, err error) {
	err = qStopping.Split(len(ids), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, to-from)
		for _, id := range ids[from:to] {
			args = append(args, id)
		}
		return l.reader.Each(ctx, q, args, func(r engine.Row) error {
			var s Stopping
			var code int
			err := r.Scan(&s.ID, &s.Attempt, &code)
			s.Verb = requestedVerb(code)
			list = append(list, s)
			return err
		})
	})
	return list, engine.Wrap("cancelling", err)
}

var qHolds = engine.NewQuery("SELECT state = 'running', attempt FROM jobs WHERE id = ?")

// Holds returns nil if an attempt still owns its job, else ErrStale or ErrUnknown. It
// only reads and is cheap.
func (l *Ledger) Holds(ctx context.Context, id string, attempt int) error {
	var runs bool
	var newest int
	found, err := l.reader.Row(ctx, qHolds, []any{id}, &runs, &newest)
	switch {
	case err != nil:
	case !found:
		err = ErrUnknown
	case !runs || newest != attempt:
		err = ErrStale
	}
	return engine.Wrap("holds", err)
}
