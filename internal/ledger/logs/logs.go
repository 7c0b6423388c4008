// Package logs holds the logs of running programs where the store is a bucket, in which an
// object cannot grow. A node appends what a program has written; every node can read it.
// After the end of an attempt its log is an object of the store, and its rows are deleted.
package logs

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/logtext"
)

// Logs are the logs of running programs in a ledger.
type Logs struct{ ledger engine.Access }

// New returns the logs in a ledger.
func New(ledger engine.Access) *Logs { return &Logs{ledger} }

// Log is a part of the log of an attempt.
type Log struct {
	// Chunks are in order. Only the middle of a long log is missing between them.
	Chunks []logtext.Chunk
	Total  int64     // bytes that the program has written so far
	At     time.Time // when the newest chunk was appended
}

var (
	qRuns   = engine.NewQuery("SELECT 1 FROM jobs WHERE id = ? AND state = 'running' AND attempt = ?")
	qInsert = engine.NewQuery(`INSERT INTO log_chunks (job, attempt, position, at, data) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (job, attempt, position) DO UPDATE SET at = excluded.at, data = excluded.data`)
	qDropMiddle = engine.NewQuery("DELETE FROM log_chunks WHERE job = ? AND attempt = ? AND position >= ? AND position < ?")
	qDrop       = engine.NewQuery("DELETE FROM log_chunks WHERE job = ? AND attempt = ?")
	qRead       = engine.NewQuery(`SELECT position, at, data FROM log_chunks WHERE job = ? AND attempt = ? AND position >=
		COALESCE((SELECT MAX(position) FROM log_chunks WHERE job = ? AND attempt = ? AND position <= ?), 0) ORDER BY position`)
	qLeft = engine.NewQuery(`SELECT log_chunks.job, log_chunks.attempt, MIN(CASE WHEN jobs.id IS NULL THEN 1 ELSE 0 END) FROM log_chunks LEFT JOIN jobs ON jobs.id = log_chunks.job
		WHERE jobs.id IS NULL OR jobs.state <> 'running' OR jobs.attempt <> log_chunks.attempt
		GROUP BY log_chunks.job, log_chunks.attempt ORDER BY log_chunks.job, log_chunks.attempt LIMIT ?`)
)

// Append adds chunks to the log of an attempt. Chunks between the first logtext.EndSize
// bytes and the position tail are deleted. kept is false if nothing was written: the attempt
// does not run any more. The chunks are not synced to the disk.
func (l *Logs) Append(ctx context.Context, job string, attempt int, chunks []logtext.Chunk, tail int64) (kept bool, err error) {
	err = l.ledger.Do(ctx, engine.Op{Name: "append-log", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		var one int
		if kept, err = t.Row(qRuns, []any{job, attempt}, &one); err != nil || !kept {
			return err
		}
		for _, c := range chunks {
			if _, err := t.Exec(qInsert, job, attempt, c.Position, engine.Micros(t.Now()), c.Data); err != nil {
				return err
			}
		}
		if tail <= logtext.EndSize {
			return nil
		}
		_, err := t.Exec(qDropMiddle, job, attempt, int64(logtext.EndSize), tail)
		return err
	}})
	return kept, engine.Wrap("append log", err)
}

// Read returns the log of an attempt from the chunk that holds the position from, or from
// the last one. found is false if the ledger has none.
func (l *Logs) Read(ctx context.Context, job string, attempt int, from int64) (log Log, found bool, err error) {
	err = l.ledger.Each(ctx, qRead, []any{job, attempt, job, attempt, from}, func(r engine.Row) error {
		var c logtext.Chunk
		var at int64
		if err := r.Scan(&c.Position, &at, &c.Data); err != nil {
			return err
		}
		log.Chunks = append(log.Chunks, c)
		log.Total, log.At = c.End(), engine.FromMicros(at)
		return nil
	})
	return log, len(log.Chunks) > 0, engine.Wrap("read log", err)
}

// Delete deletes the log of an attempt. It is not synced to the disk.
func (l *Logs) Delete(ctx context.Context, job string, attempt int) error {
	err := l.ledger.Do(ctx, engine.Op{Name: "delete-log", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		_, err := t.Exec(qDrop, job, attempt)
		return err
	}})
	return engine.Wrap("delete log", err)
}

// Attempt names an attempt of a job.
type Attempt struct {
	Job    string
	Number int
	// Gone says that the job was deleted.
	Gone bool
}

// maxLeft limits the attempts in one answer of Left.
const maxLeft = 100

// Left returns attempts that have a log here and do not run, at most 100: those that end
// now, and those whose node died.
func (l *Logs) Left(ctx context.Context) (list []Attempt, err error) {
	err = l.ledger.Each(ctx, qLeft, []any{maxLeft}, func(r engine.Row) error {
		var a Attempt
		var gone int
		err := r.Scan(&a.Job, &a.Number, &gone)
		a.Gone = gone > 0
		list = append(list, a)
		return err
	})
	return list, engine.Wrap("logs left", err)
}
