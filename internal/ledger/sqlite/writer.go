package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var (
	qBegin       = engine.NewQuery("BEGIN IMMEDIATE")
	qCommit      = engine.NewQuery("COMMIT")
	qRollback    = engine.NewQuery("ROLLBACK")
	qDataVersion = engine.NewQuery("PRAGMA data_version")
	backgroundC  = context.Background()
)

// Writer is the one connection that writes. One goroutine uses it, but Sync may
// run beside.
type Writer struct {
	// Patience is how long Begin waits for other processes that write.
	Patience time.Duration
	// SyncLog brings the write-ahead log to the disk.
	SyncLog func(wal *os.File) error

	db         *sql.DB
	conn       *sql.Conn
	stmts      []*sql.Stmt // by query number
	lock       *writeLock
	wal        *os.File // the write-ahead log
	statements int      // since it was looked how long the log is
}

func (w *Writer) close() error {
	return errors.Join(w.lock.close(), w.wal.Close(), w.conn.Close(), w.db.Close())
}

func (w *Writer) stmt(q *engine.Query) (*sql.Stmt, error) {
	if s := w.stmts[q.Number]; s != nil {
		return s, nil
	}
	s, err := w.conn.PrepareContext(backgroundC, q.Text)
	if err != nil {
		return nil, err
	}
	w.stmts[q.Number] = s
	return s, nil
}

// Exec returns the number of rows that q changed.
func (w *Writer) Exec(q *engine.Query, args ...any) (int64, error) {
	w.statements++
	s, err := w.stmt(q)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(backgroundC, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Row scans the first row of q, if there is one.
func (w *Writer) Row(q *engine.Query, args []any, dest ...any) (bool, error) {
	s, err := w.stmt(q)
	if err == nil {
		err = s.QueryRowContext(backgroundC, args...).Scan(dest...)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// Each calls scan for every row of q. The rows are all read before another
// statement runs.
func (w *Writer) Each(q *engine.Query, args []any, scan func(engine.Row) error) error {
	s, err := w.stmt(q)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(backgroundC, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// Begin starts a transaction when no other process writes. The lock makes
// processes alternate: who has just written queues behind who waits.
func (w *Writer) Begin() error {
	deadline := time.Now().Add(w.Patience)
	w.lock.take(deadline)
	defer w.lock.give()
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 4*time.Millisecond) {
		_, err := w.Exec(qBegin)
		if err == nil || !IsBusy(err) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause/2 + rand.N(pause))
	}
}

// Commit ends the transaction. It does not sync the log; see Sync.
func (w *Writer) Commit() error {
	_, err := w.Exec(qCommit)
	return err
}

// Rollback gives up a transaction. SQLite may have done so by itself.
func (w *Writer) Rollback() {
	_, _ = w.Exec(qRollback)
}

// Sync makes all that was committed survive a power cut.
func (w *Writer) Sync() error { return w.SyncLog(w.wal) }

// Version returns a number that commits of other connections change, but not those
// of this one; -1 where it cannot be had.
func (w *Writer) Version() (v int64) {
	if _, err := w.Row(qDataVersion, nil, &v); err != nil {
		return -1
	}
	return v
}
