package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Backlog is what has not ended, now.
type Backlog struct {
	Queued, Running, Waiting int64
	// Scheduled is how many of the queued ones are not due: their start is set for
	// later, or they back off.
	Scheduled int64
	// Oldest is since when the job could have started that has been due for the
	// longest; zero where none is due.
	Oldest time.Time
	// Programs are those that have such jobs, by name.
	Programs []ProgramBacklog
}

// ProgramBacklog is what has not ended of one program.
type ProgramBacklog struct {
	Program                  string
	Queued, Running, Waiting int64
	// Scheduled is at least 10,000 where more are scheduled and 100,000 are due.
	Scheduled int64
	Oldest    time.Time
}

// dueTimes: where more than Ledger.maxScheduled jobs of a program are not due, the due
// ones are counted, up to this many times as many.
const dueTimes = 10

var (
	qBacklog = engine.NewQuery(`SELECT program, queued, running, waiting FROM backlog
		WHERE queued > 0 OR running > 0 OR waiting > 0 ORDER BY program`)
	qNextDue   = engine.NewQuery("SELECT program, due FROM jobs WHERE state = 'queued' AND program > ? ORDER BY program, due LIMIT 1")
	qScheduled = engine.NewQuery("SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' AND program = ? AND due > ? LIMIT ?) AS later")
	qDue       = engine.NewQuery("SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' AND program = ? AND due <= ? LIMIT ?) AS due")
)

// Backlog returns how many jobs have not ended, by program, and since when they
// are due. The numbers are counters; the times are looked for in 500 programs at
// most.
func (l *Ledger) Backlog(ctx context.Context) (b Backlog, err error) {
	defer l.watch("backlog", time.Now(), &err)
	places := map[string]int{}
	err = l.reader.Each(ctx, qBacklog, nil, func(r engine.Row) error {
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
	err = dues(ctx, l.reader, engine.Micros(l.now()), func(program string, oldest time.Time) error {
		i, known := places[program]
		if !known {
			return nil // queued just now
		}
		p := &b.Programs[i]
		p.Oldest, b.Oldest = oldest, engine.Earlier(b.Oldest, oldest)
		n, err := scheduled(ctx, l.reader, engine.Micros(l.now()), p, l.maxScheduled)
		p.Scheduled, b.Scheduled = n, b.Scheduled+n
		return err
	})
	if err != nil {
		return Backlog{}, fmt.Errorf("ledger: backlog: %w", err)
	}
	return b, nil
}

// dues tells of each program with queued jobs since when the first one is due,
// which is zero where none is.
func dues(ctx context.Context, r engine.Reader, now int64, see func(program string, oldest time.Time) error) error {
	program := ""
	for range maxQueues {
		var due int64
		found, err := r.Row(ctx, qNextDue, []any{program}, &program, &due)
		if err != nil || !found {
			return err
		}
		if due > now {
			due = 0
		}
		if err := see(program, engine.FromMicros(due)); err != nil {
			return err
		}
	}
	return nil
}

// scheduled is how many queued jobs of a program are not due. It counts up to limit.
func scheduled(ctx context.Context, r engine.Reader, now int64, p *ProgramBacklog, limit int64) (n int64, err error) {
	if p.Oldest.IsZero() {
		return p.Queued, nil
	}
	_, err = r.Row(ctx, qScheduled, []any{p.Program, now, limit}, &n)
	if err != nil || n < limit {
		return n, err
	}
	var due int64
	_, err = r.Row(ctx, qDue, []any{p.Program, now, dueTimes * limit}, &due)
	if due < dueTimes*limit {
		n = max(n, p.Queued-due)
	}
	return n, err
}
