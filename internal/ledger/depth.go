package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Backlog is what has not ended, now.
type Backlog struct {
	Queued, Running, Waiting int64
	// Oldest is when the job that has been queued for the longest was accepted;
	// zero where none is queued.
	Oldest time.Time
	// Programs are those that have such jobs, by name.
	Programs []ProgramBacklog
}

// ProgramBacklog is what has not ended of one program.
type ProgramBacklog struct {
	Program                  string
	Queued, Running, Waiting int64
	Oldest                   time.Time
	// Due is since when a job could have started that is the first of its queue;
	// zero where the first ones have a start that is set for later.
	Due time.Time
}

var (
	qBacklog = newQuery(`SELECT program, queued, running, waiting FROM backlog
		WHERE queued > 0 OR running > 0 OR waiting > 0 ORDER BY program`)
	// Leaps from one queue to the next: those of a server, program and priority.
	// Without the last number, SQLite would walk over all of the queue that is left.
	qNextKey = newQuery(`SELECT server, program, priority, accepted FROM jobs
		WHERE state = 'queued' AND (server, program, priority, accepted) > (?, ?, ?, 9223372036854775807)
		ORDER BY server, program, priority, accepted LIMIT 1`)
	// The same leaps, with what says when the first job of a queue may start.
	qNextHead = newQuery(`SELECT server, program, priority, accepted, due, not_before, attempt FROM jobs
		WHERE state = 'queued' AND (server, program, priority, accepted) > (?, ?, ?, 9223372036854775807)
		ORDER BY server, program, priority, accepted LIMIT 1`)
	qDepth = newQuery(fmt.Sprintf(`INSERT INTO depths (grain, at, waiting, queued, running)
		SELECT steps.grain, steps.at, sums.waiting, sums.queued, sums.running
		FROM (SELECT %d AS grain, ? AS at UNION ALL SELECT %d, ? UNION ALL SELECT %d, ?) AS steps
		CROSS JOIN (SELECT COALESCE(SUM(waiting), 0) AS waiting, COALESCE(SUM(queued), 0) AS queued,
			COALESCE(SUM(running), 0) AS running FROM backlog) AS sums
		WHERE 1 = 1 ON CONFLICT (grain, at) DO UPDATE SET
		waiting = CASE WHEN excluded.waiting > depths.waiting THEN excluded.waiting ELSE depths.waiting END,
		queued = CASE WHEN excluded.queued > depths.queued THEN excluded.queued ELSE depths.queued END,
		running = CASE WHEN excluded.running > depths.running THEN excluded.running ELSE depths.running END`,
		grains[0].seconds, grains[1].seconds, grains[2].seconds))
)

// Backlog returns how many jobs have not ended, by program, and since when they
// are queued. The numbers are counters; for the times it looks at the head of
// each queue, at 500 queues at most.
func (l *Ledger) Backlog(ctx context.Context) (b Backlog, err error) {
	defer l.watch("backlog", time.Now(), &err)
	places := map[string]int{}
	err = l.reader.each(ctx, qBacklog, nil, func(r *sql.Rows) error {
		var p ProgramBacklog
		err := r.Scan(&p.Program, &p.Queued, &p.Running, &p.Waiting)
		b.Queued, b.Running, b.Waiting = b.Queued+p.Queued, b.Running+p.Running, b.Waiting+p.Waiting
		if p.Program == "" {
			return err // jobs whose programs no node has announced yet
		}
		places[p.Program] = len(b.Programs)
		b.Programs = append(b.Programs, p)
		return err
	})
	if err != nil {
		return Backlog{}, fmt.Errorf("ledger: backlog: %w", err)
	}
	now := l.now()
	err = l.heads(ctx, func(r *Record) {
		b.Oldest = earlier(b.Oldest, r.Accepted)
		i, ok := places[r.Program]
		if !ok {
			return
		}
		p := &b.Programs[i]
		p.Oldest = earlier(p.Oldest, r.Accepted)
		if r.Wait(now) == 0 && !r.Due.After(now) {
			p.Due = earlier(p.Due, cmp.Or(r.Due, r.Accepted))
		}
	})
	if err != nil {
		return Backlog{}, fmt.Errorf("ledger: backlog: %w", err)
	}
	return b, nil
}

// heads looks at the first job of each queue, of which it knows the times.
func (l *Ledger) heads(ctx context.Context, see func(r *Record)) error {
	server, program, priority := "", "", int64(-1)
	for range maxQueues {
		var accepted, due, notBefore int64
		var r Record
		found, err := l.reader.row(ctx, qNextHead, []any{server, program, priority},
			&server, &program, &priority, &accepted, &due, &notBefore, &r.Attempt)
		if err != nil || !found {
			return err
		}
		r.Program, r.Accepted, r.Due, r.NotBefore = program, fromMicros(accepted), fromMicros(due), fromMicros(notBefore)
		see(&r)
	}
	return nil
}

// earlier is the earlier one of two times, of which the first may be zero.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// SampleDepth notes how many jobs are queued, run and wait now, for the Depth of
// an [Activity]. It is to be called several times a minute, and is not synced to
// the disk.
func (l *Ledger) SampleDepth(ctx context.Context) error {
	err := l.do(ctx, &op{name: "sample-depth", weight: 1, soft: true, run: func(t *txn) error {
		var at []any
		for _, g := range grains {
			at = append(at, micros(t.now.Truncate(g.step())))
		}
		_, err := t.exec(qDepth, at...)
		return err
	}})
	if err != nil {
		return fmt.Errorf("ledger: sample depth: %w", err)
	}
	return nil
}
