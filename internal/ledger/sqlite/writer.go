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
	qSchema      = engine.NewQuery("SELECT version FROM schema_version")
	qDataVersion = engine.NewQuery("PRAGMA data_version")
	backgroundC  = context.Background()
)

const pageSize = 4096 // of the file, in bytes

// Writer is the connection that writes. One goroutine uses it. Another one may call Sync
// meanwhile.
type Writer struct {
	// Patience is how long Begin waits for other processes. Default 10 s.
	Patience time.Duration
	// SyncLog syncs the write-ahead log. Default: fdatasync.
	SyncLog func(wal *os.File) error
	// Trace is called with each statement before it runs. Default: none.
	Trace func(*engine.Query)

	schema  schema // that this program knows
	db      *sql.DB
	conn    *sql.Conn
	stmts   []*sql.Stmt // by query number
	lock    *writeLock
	wal     *os.File // the write-ahead log
	written int      // pages, about, since the length of the log was read
	// restartAt is the length of the log, in pages, at which the writer waits for readers.
	restartAt int
}

// close closes the connection. If it is the last one, SQLite removes the log.
func (w *Writer) close() error { return errors.Join(closeStatements(w.stmts), w.abandon()) }

// abandon closes the files but leaves the log as it is: SQLite closes a connection that
// has statements only when the process ends, and only then could it empty the log.
func (w *Writer) abandon() error {
	return errors.Join(w.lock.close(), w.wal.Close(), w.conn.Close(), w.db.Close())
}

func (w *Writer) stmt(q *engine.Query) (*sql.Stmt, error) {
	if w.Trace != nil {
		w.Trace(q)
	}
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

// Exec runs q and returns the number of rows that it changed.
func (w *Writer) Exec(q *engine.Query, args ...any) (int64, error) {
	w.written += pages(args)
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

// pages returns about how many pages a statement writes.
func pages(args []any) int {
	n := 1
	for _, a := range args {
		if b, ok := a.([]byte); ok {
			n += len(b) / pageSize
		}
	}
	return n
}

// Queue runs q at once.
func (w *Writer) Queue(q *engine.Query, args ...any) error {
	_, err := w.Exec(q, args...)
	return err
}

// Row scans the first row of q. It returns false if there is none.
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

// Each calls scan for every row of q. It reads all rows before another statement runs.
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

// Begin starts a transaction when no other process writes. The lock makes processes take
// turns: the one that has just written waits behind the others. It returns ErrNewer if a
// newer version of the program has upgraded the file meanwhile.
func (w *Writer) Begin() error {
	if err := w.begin(); err != nil {
		return err
	}
	version := 0
	_, err := w.Row(qSchema, nil, &version)
	if err == nil && version > w.schema.version() {
		err = w.schema.newer(version)
	}
	if err != nil {
		w.Rollback()
	}
	return err
}

func (w *Writer) begin() error {
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
func (w *Writer) Commit(bool) error {
	_, err := w.Exec(qCommit)
	return err
}

// Rollback ends the transaction without its changes. SQLite may have done so already.
func (w *Writer) Rollback() {
	_, _ = w.Exec(qRollback)
}

// Lost reports whether the kernel may have lost a write of the file.
func (w *Writer) Lost(err error) bool { return isLostWrite(err) }

// Sync makes all commits survive a power cut.
func (w *Writer) Sync() error { return w.SyncLog(w.wal) }

// Version returns a number that changes with the commits of other connections. It
// returns -1 if it cannot be read.
func (w *Writer) Version() (v int64) {
	if _, err := w.Row(qDataVersion, nil, &v); err != nil {
		return -1
	}
	return v
}
