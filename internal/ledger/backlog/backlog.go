// Package backlog counts the jobs that have not ended.
package backlog

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Backlog is the number of jobs that have not ended.
type Backlog struct {
	Queued, Running, Waiting int64
	// Scheduled is the number of queued jobs that are not due: their start is set for
	// later, or they back off.
	Scheduled int64
	// Oldest is when the job became due that has been due for the longest. Zero if none
	// is due.
	Oldest time.Time
	// Programs are the programs with such jobs, by name.
	Programs []Program
}

// Program is the Backlog of one program.
type Program struct {
	Program                  string
	Queued, Running, Waiting int64
	// Scheduled is exact up to 10,000. Above, it is at least 10,000 if 100,000 jobs are
	// due.
	Scheduled int64
	Oldest    time.Time
}

// DueTimes limits the count of due jobs to this multiple of maxScheduled. They are
// counted if more jobs of a program than that are not due.
const DueTimes = 10

// maxPrograms is the largest number of programs whose times are read.
const maxPrograms = 500

var (
	qBacklog = engine.NewQuery(`SELECT program, queued, running, waiting FROM job_counts
		WHERE queued > 0 OR running > 0 OR waiting > 0 ORDER BY program`)
	qNextDue   = engine.NewQuery("SELECT program, due FROM jobs WHERE state = 'queued' AND program > ? ORDER BY program, due LIMIT 1")
	qScheduled = engine.NewQuery("SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' AND program = ? AND due > ? LIMIT ?) AS later")
	qDue       = engine.NewQuery("SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' AND program = ? AND due <= ? LIMIT ?) AS due")
)

// Read returns the number of jobs that have not ended, by program, and when the oldest became
// due. The numbers come from counters. Times are read for at most 500 programs. maxScheduled
// limits the count of jobs of a program that are not due.
func Read(ctx context.Context, a engine.Access, maxScheduled int64) (b Backlog, err error) {
	defer a.Observe("backlog", time.Now(), &err)
	places := map[string]int{}
	err = a.Reader.Each(ctx, qBacklog, nil, func(r engine.Row) error {
		var p Program
		err := r.Scan(&p.Program, &p.Queued, &p.Running, &p.Waiting)
		b.Queued, b.Running, b.Waiting = b.Queued+p.Queued, b.Running+p.Running, b.Waiting+p.Waiting
		if p.Program == "" {
			return err // jobs of programs that no node has announced
		}
		places[p.Program] = len(b.Programs)
		b.Programs = append(b.Programs, p)
		return err
	})
	if err != nil {
		return Backlog{}, fmt.Errorf("ledger: backlog: %w", err)
	}
	err = dues(ctx, a.Reader, engine.Micros(a.Now()), func(program string, oldest time.Time) error {
		i, known := places[program]
		if !known {
			return nil // queued since then
		}
		p := &b.Programs[i]
		p.Oldest, b.Oldest = oldest, engine.Earlier(b.Oldest, oldest)
		n, err := scheduled(ctx, a.Reader, engine.Micros(a.Now()), p, maxScheduled)
		p.Scheduled, b.Scheduled = n, b.Scheduled+n
		return err
	})
	return b, engine.Wrap("backlog", err)
}

// dues calls see for each program with queued jobs. oldest is when the first one became
// due, or zero.
func dues(ctx context.Context, r engine.Reader, now int64, see func(program string, oldest time.Time) error) error {
	program := ""
	for range maxPrograms {
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

// scheduled returns the number of queued jobs of a program that are not due. It counts
// up to limit.
func scheduled(ctx context.Context, r engine.Reader, now int64, p *Program, limit int64) (n int64, err error) {
	if p.Oldest.IsZero() {
		return p.Queued, nil
	}
	_, err = r.Row(ctx, qScheduled, []any{p.Program, now, limit}, &n)
	if err != nil || n < limit {
		return n, err
	}
	var due int64
	_, err = r.Row(ctx, qDue, []any{p.Program, now, DueTimes * limit}, &due)
	if due < DueTimes*limit {
		n = max(n, p.Queued-due)
	}
	return n, err
}
