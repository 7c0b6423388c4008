package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

// These are not registered, because SQLite does not know them.
var (
	qSchema  = &engine.Query{Text: "SELECT version FROM schema_version"}
	qVersion = &engine.Query{Text: "SELECT last_value FROM writes"}
)

// statementLimit bounds each statement.
const statementLimit = 30 * time.Second

// errNoTransaction is returned outside of a transaction.
var errNoTransaction = errors.New("there is no transaction")

// Writer is the connection that writes and the one that syncs. One goroutine uses it.
// Another one may call Sync meanwhile.
type Writer struct {
	db, syncDB *sql.DB
	key        int64 // of the advisory lock
	own        int64 // transactions that this process has begun
	// conn is held from Begin to the end of the transaction, so that a connection that
	// broke is replaced by the next Begin.
	conn *sql.Conn
}

func (w *Writer) close() error {
	w.release()
	return errors.Join(w.db.Close(), w.syncDB.Close())
}

// Begin waits until no other process writes. The commit does not wait for the disk: see
// Sync. It returns sqlite.ErrNewer if a newer version of the program has upgraded the
// tables meanwhile.
func (w *Writer) Begin() (err error) {
	ctx, cancel := limited()
	defer cancel()
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	// Several statements without parameters go in one message. The next one sees what the
	// holder of the lock before has committed.
	begin := fmt.Sprintf("BEGIN; SET LOCAL synchronous_commit = off; SELECT pg_advisory_xact_lock(%d); SELECT nextval('writes')", w.key)
	if _, err := w.conn.ExecContext(ctx, begin); err != nil {
		w.Rollback()
		return err
	}
	w.own++
	version := 0
	if _, err = w.Row(qSchema, nil, &version); err == nil && version > sqlite.Schema() {
		err = sqlite.Newer(version)
	}
	if err != nil {
		w.Rollback()
	}
	return err
}

// limited returns the context of one statement.
func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), statementLimit)
}

// Exec runs q and returns the number of rows that it changed.
func (w *Writer) Exec(q *engine.Query, args ...any) (int64, error) {
	if w.conn == nil {
		return 0, errNoTransaction
	}
	ctx, cancel := limited()
	defer cancel()
	r, err := w.conn.ExecContext(ctx, textOf(q), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// Row scans the first row of q. It returns false if there is none.
func (w *Writer) Row(q *engine.Query, args []any, dest ...any) (bool, error) {
	if w.conn == nil {
		return false, errNoTransaction
	}
	ctx, cancel := limited()
	defer cancel()
	return first(ctx, w.conn, q, args, dest)
}

// Each calls scan for every row of q.
func (w *Writer) Each(q *engine.Query, args []any, scan func(engine.Row) error) error {
	if w.conn == nil {
		return errNoTransaction
	}
	ctx, cancel := limited()
	defer cancel()
	return each(ctx, w.conn, q, args, scan)
}

// Commit ends the transaction. After an error it is unknown whether it is committed, unless
// PostgreSQL said so.
func (w *Writer) Commit() error {
	if w.conn == nil {
		return errNoTransaction
	}
	ctx, cancel := limited()
	defer cancel()
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return err // Rollback follows
	}
	w.release()
	return nil
}

// Rollback ends the transaction without its changes. It may have ended already.
func (w *Writer) Rollback() {
	if w.conn == nil {
		return
	}
	ctx, cancel := limited()
	defer cancel()
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	w.release()
}

// release gives the connection back. database/sql closes it if it is broken or still in a
// transaction.
func (w *Writer) release() {
	if w.conn == nil {
		return
	}
	_ = w.conn.Close()
	w.conn = nil
}

// Sync makes all commits survive a power cut, and on the synchronous standbys if there are
// some: a commit that waits for the disk also waits for the log of all commits before it.
// The message is what it has to write; nobody reads it. It waits even if the operator has
// turned synchronous_commit off for other programs.
func (w *Writer) Sync() error {
	ctx, cancel := limited()
	defer cancel()
	_, err := w.syncDB.ExecContext(ctx, `SELECT pg_logical_emit_message(true, 'runnerbean', ''), set_config('synchronous_commit',
		CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`)
	return err
}

// Checkpoint does nothing: PostgreSQL does what is needed.
func (w *Writer) Checkpoint() error { return nil }

// Lost is true for any error of Commit and Sync: without an answer it is unknown what was
// committed.
func (w *Writer) Lost(err error) bool { return err != nil }

// Version returns how many transactions other processes have begun to write.
func (w *Writer) Version() (v int64) {
	ctx, cancel := limited()
	defer cancel()
	if _, err := first(ctx, w.db, qVersion, nil, []any{&v}); err != nil {
		return -1
	}
	return v - w.own
}
