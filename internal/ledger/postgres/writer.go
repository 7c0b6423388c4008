package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/retry"
)

// These are not registered, because SQLite does not know them.
var (
	qSchema  = &engine.Query{Text: "SELECT version FROM schema_version"}
	qVersion = &engine.Query{Text: "SELECT last_value FROM writes"}
	qNumber  = &engine.Query{Text: "SELECT number FROM writers WHERE id = ?"}
	// qSync waits even if the operator has turned synchronous_commit off for other programs.
	// Nobody reads the message; it makes the commit write.
	qSync = &engine.Query{Text: `SELECT number, pg_logical_emit_message(true, 'runnerbean', ''), set_config('synchronous_commit',
		CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true) FROM writers WHERE id = ?`}
)

const (
	// statementLimit bounds each statement.
	statementLimit = 30 * time.Second
	// outageLimit is how long Commit and Sync try to learn what has become of a commit.
	outageLimit = 10 * time.Minute
	// forgetAfter is when the row of a process that has ended badly is removed: so long
	// after its last commit.
	forgetAfter = 30 * 24 * time.Hour
)

var (
	// errNoTransaction is returned outside of a transaction.
	errNoTransaction = errors.New("there is no transaction")
	// errLost is returned if commits that this process has made are gone, or if it is not
	// known whether they are.
	errLost = errors.New("PostgreSQL has lost commits, or cannot say whether it has")
)

// Writer is the connection that writes and the one that syncs. One goroutine uses it.
// Another one may call Sync meanwhile.
type Writer struct {
	db, syncDB *sql.DB
	key        int64  // of the advisory lock
	id         string // of this process, in writers
	own        int64  // transactions that this process has begun
	wrote      bool   // the transaction has changed something
	number     int64  // of the last commit that changed something
	committed  atomic.Int64
	outage     time.Duration // outageLimit, unless tests change it

	// conn is held from Begin to the end of the transaction, so that a connection that
	// broke is replaced by the next Begin.
	conn *sql.Conn
}

func (w *Writer) close() error {
	w.release()
	ctx, cancel := limited()
	defer cancel()
	if w.id != "" { // an error leaves the row to a later process
		_, _ = w.db.ExecContext(ctx, "DELETE FROM writers WHERE id = $1", w.id)
	}
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
	n, err := r.RowsAffected()
	w.wrote = w.wrote || n > 0
	return n, err
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

// Commit ends the transaction. A transaction that has changed something leaves its number in
// the row of this process. If the connection breaks before the answer comes, the row says
// whether it was committed.
func (w *Writer) Commit() error {
	if w.conn == nil {
		return errNoTransaction
	}
	ctx, cancel := limited()
	defer cancel()
	commit, wrote := "COMMIT", w.wrote
	if wrote {
		commit = fmt.Sprintf("UPDATE writers SET number = %d, at = %d WHERE id = '%s'; COMMIT", w.number+1, engine.Micros(time.Now()), w.id)
	}
	_, err := w.conn.ExecContext(ctx, commit)
	var refused *pgconn.PgError
	// Class 57: the server ends the connection, for example because it stops.
	if err != nil && wrote && !(errors.As(err, &refused) && !strings.HasPrefix(refused.Code, "57")) {
		w.release() // a transaction that is still open ends with its connection
		err = w.findOut(err)
	}
	if err != nil {
		return err // Rollback follows
	}
	if wrote {
		w.number++
		w.committed.Store(w.number)
	}
	w.release()
	return nil
}

// findOut returns nil if the transaction was committed whose commit had no answer but err. It
// tries until PostgreSQL is back. With the lock it has waited for the end of that transaction.
func (w *Writer) findOut(err error) error {
	number := int64(-1)
	unknown := w.retry(func(ctx context.Context) error {
		tx, err := w.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", w.key); err != nil {
			return err
		}
		_, err = first(ctx, tx, qNumber, []any{w.id}, []any{&number})
		return err
	})
	switch {
	case unknown != nil:
		return fmt.Errorf("%w: %w", errLost, errors.Join(err, unknown))
	case number > w.number:
		return nil
	case number < w.number:
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// retry calls try until it succeeds or the outage has taken too long.
func (w *Writer) retry(try func(context.Context) error) error {
	backoff := retry.Backoff{Base: 50 * time.Millisecond, Max: 5 * time.Second}
	deadline := time.Now().Add(w.outage)
	for n := 1; ; n++ {
		ctx, cancel := limited()
		err := try(ctx)
		cancel()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(backoff.Wait(n))
	}
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
	w.conn, w.wrote = nil, false
}

// Sync makes all commits survive a power cut, and the loss of the server if it has
// synchronous standbys: a commit that waits for the disk also waits for the log of all commits
// before it. It returns an error for which Lost is true if PostgreSQL has started again, or a
// standby has taken over, without a commit of this process.
func (w *Writer) Sync() error {
	committed, number := w.committed.Load(), int64(-1)
	err := w.retry(func(ctx context.Context) error {
		_, err := first(ctx, w.syncDB, qSync, []any{w.id}, []any{&number, new(any), new(any)})
		return err
	})
	if err == nil && number >= committed {
		return nil
	}
	return errors.Join(errLost, err)
}

// Checkpoint does nothing: PostgreSQL does what is needed.
func (w *Writer) Checkpoint() error { return nil }

// Lost reports whether commits are gone, or may be.
func (w *Writer) Lost(err error) bool { return errors.Is(err, errLost) }

// Version returns how many transactions other processes have begun to write.
func (w *Writer) Version() (v int64) {
	ctx, cancel := limited()
	defer cancel()
	if _, err := first(ctx, w.db, qVersion, nil, []any{&v}); err != nil {
		return -1
	}
	return v - w.own
}
