package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// foldEvery is the least time between two folds of one process.
const foldEvery = 10 * time.Second

// qFold adds the steps of backlog that have ended to backlog. The caller holds the lock of
// the writers, so that no step of another transaction is open.
const qFold = `WITH ended AS (SELECT currval('writes') / 64 - 1 AS step),
	moved AS (DELETE FROM backlog_steps WHERE step > (SELECT step FROM backlog_folded WHERE one = 1) AND step <= (SELECT step FROM ended) RETURNING *),
	folded AS (UPDATE backlog_folded SET step = ended.step FROM ended WHERE one = 1)
	INSERT INTO backlog SELECT program, SUM(waiting), SUM(queued), SUM(running), SUM(succeeded), SUM(failed), SUM(cancelled) FROM moved GROUP BY program
	ON CONFLICT (program) DO UPDATE SET waiting = backlog.waiting + excluded.waiting, queued = backlog.queued + excluded.queued,
	running = backlog.running + excluded.running, succeeded = backlog.succeeded + excluded.succeeded, failed = backlog.failed + excluded.failed,
	cancelled = backlog.cancelled + excluded.cancelled`

// qFoldable says whether steps have ended that are not in backlog.
const qFoldable = "SELECT last_value / 64 - 1 > (SELECT step FROM backlog_folded WHERE one = 1) FROM writes"

// Checkpoint folds the steps of backlog and forgets old commits of this process, now and
// then. What fails is done the next time.
func (w *Writer) Checkpoint() error {
	if time.Since(w.folded) < foldEvery {
		return nil
	}
	w.folded = time.Now()
	ctx, cancel := limited()
	defer cancel()
	var due bool
	if err := w.db.QueryRowContext(ctx, qFoldable).Scan(&due); err != nil || !due {
		return away(context.Background(), err)
	}
	return w.fold(false)
}

// fold runs in a transaction of its own. With all it begins another step before, so that a
// program from before steps counts right after the last of ours has ended.
func (w *Writer) fold(all bool) error {
	if err := w.begin(); err != nil {
		return err
	}
	ctx, cancel := limited()
	defer cancel()
	var err error
	if all {
		_, err = w.conn.ExecContext(ctx, "SELECT setval('writes', (last_value / 64 + 1) * 64) FROM writes")
	}
	if err == nil {
		_, err = w.conn.ExecContext(ctx, qFold)
	}
	if err == nil {
		// The range leaves out what was deleted before: it may still be in the index.
		_, err = w.conn.ExecContext(ctx, fmt.Sprintf("DELETE FROM commits WHERE writer = '%s' AND number >= %d AND number < %d; UPDATE writers SET number = %d, at = %d WHERE id = '%s'",
			w.id, w.forgotten, w.number, w.number, engine.Micros(time.Now()), w.id))
	}
	if err != nil {
		w.Rollback()
		return away(context.Background(), err)
	}
	if _, err := w.conn.ExecContext(ctx, "SET LOCAL synchronous_commit = off; COMMIT"); err != nil {
		w.Rollback()
		return away(context.Background(), err)
	}
	w.forgotten = w.number
	w.release()
	return nil
}

// close folds all steps of this process and forgets it. The Writer is of no use after that.
func (w *Writer) close() error {
	w.release()
	ctx, cancel := limited()
	defer cancel()
	if w.id != "" { // an error leaves the rows to a later process
		_, err := w.db.ExecContext(ctx, fmt.Sprintf("DELETE FROM commits WHERE writer = '%[1]s'; DELETE FROM writers WHERE id = '%[1]s'", w.id))
		if err == nil && w.number > 0 {
			_ = w.fold(true)
		}
	}
	return w.db.Close()
}
