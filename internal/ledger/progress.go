package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	maxPartial  = 256 << 10 // bytes
	maxCounters = 64
)

var (
	qLive = engine.NewQuery(`SELECT jobs.state, jobs.attempt, ` + liveColumns + ` FROM jobs
		LEFT JOIN live ON live.job = jobs.id AND live.attempt = jobs.attempt WHERE jobs.id = ?`)
	qReport = engine.NewQuery(`INSERT INTO live (job, attempt, progress, message, counters, updated)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (job) DO UPDATE SET attempt = excluded.attempt,
		progress = excluded.progress, message = excluded.message, counters = excluded.counters,
		updated = excluded.updated`)
	qPartial = engine.NewQuery(`INSERT INTO partials (job, attempt, partial) VALUES (?, ?, ?)
		ON CONFLICT (job) DO UPDATE SET attempt = excluded.attempt, partial = excluded.partial`)
)

// Report merges a report of a running program with its earlier ones. Nil and empty
// fields leave the old values. Counters are merged by name. Long messages are cut. It
// returns engine.ErrTooBig for a partial result above 256 KiB or for more than 64
// counters, and ErrStale or ErrUnknown if the attempt does not own the job. The report
// is not synced to the disk.
func (l *Ledger) Report(ctx context.Context, id string, attempt int, live Live) error {
	err := checkLive(&live)
	if err == nil {
		err = l.do(ctx, &op{name: "report", weight: 1, soft: true, run: func(t *txn) error { return report(t, id, attempt, &live) }})
	}
	return engine.Wrap("report", err)
}

func checkLive(v *Live) error {
	v.Message = engine.Clean(v.Message, engine.MaxMessage)
	if p := v.Progress; p != nil && (math.IsNaN(*p) || math.IsInf(*p, 0)) {
		return fmt.Errorf("progress %v: %w", *p, engine.ErrTooBig)
	}
	if len(v.Partial) > maxPartial {
		return fmt.Errorf("partial result of %d bytes: %w", len(v.Partial), engine.ErrTooBig)
	}
	for k, n := range v.Counters {
		if len(k) > engine.MaxName || math.IsNaN(n) || math.IsInf(n, 0) {
			return fmt.Errorf("counter %q: %w", engine.Clean(k, engine.MaxName), engine.ErrTooBig)
		}
	}
	return nil
}

func report(t *txn, id string, attempt int, v *Live) error {
	var state jobs.State
	var newest int
	var row liveRow
	found, err := t.Row(qLive, []any{id}, append([]any{(*string)(&state), &newest}, row.dest()...)...)
	switch {
	case err != nil:
		return err
	case !found:
		return ErrUnknown
	case state != jobs.Running || newest != attempt:
		return ErrStale
	}
	old, err := row.value()
	if err != nil {
		return err
	}
	merged, err := merge(&old, v)
	if err != nil {
		return err
	}
	t.Changed(id)
	return writeLive(t, id, attempt, merged)
}

// merge returns old with the new values of v.
func merge(old, v *Live) (*Live, error) {
	m := *old
	if v.Progress != nil {
		m.Progress = v.Progress
	}
	if v.Message != "" {
		m.Message = v.Message
	}
	m.Partial = v.Partial
	if len(v.Counters) > 0 {
		m.Counters = maps.Clone(old.Counters)
		if m.Counters == nil {
			m.Counters = map[string]float64{}
		}
		maps.Copy(m.Counters, v.Counters)
	}
	if len(m.Counters) > maxCounters {
		return nil, fmt.Errorf("%d counters: %w", len(m.Counters), engine.ErrTooBig)
	}
	return &m, nil
}

func writeLive(t *txn, id string, attempt int, v *Live) error {
	counters := ""
	if len(v.Counters) > 0 {
		b, err := json.Marshal(v.Counters)
		if err != nil {
			return err
		}
		counters = string(b)
	}
	var progress any
	if v.Progress != nil {
		progress = *v.Progress
	}
	_, err := t.Exec(qReport, id, attempt, progress, v.Message, counters, engine.Micros(t.now))
	if err == nil && len(v.Partial) > 0 {
		_, err = t.Exec(qPartial, id, attempt, []byte(v.Partial))
	}
	return err
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
