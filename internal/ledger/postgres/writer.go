package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/retry"
)

// These are not registered, because SQLite does not know them.
var (
	qVersion = &engine.Query{Text: "SELECT last_value FROM writes"}
	qNumber  = &engine.Query{Text: "SELECT number FROM commits WHERE writer = ? AND number > ? LIMIT 1"}
)

const (
	// statementLimit bounds each statement, with those that were queued before it.
	statementLimit = 30 * time.Second
	// maxQueued is the largest number of statements, and maxQueuedBytes of bytes in them, that
	// wait for another one.
	maxQueued      = 64
	maxQueuedBytes = 1 << 20
	// frozenLimit is how long a transaction may stand still before the server ends it: a node
	// that is stopped or cut off must not keep all others from writing.
	frozenLimit = 5 * time.Second
	// outageLimit is how long Commit tries to learn what has become of a transaction.
	outageLimit = 10 * time.Minute
	// forgetAfter is when the row of a process that has ended badly is removed: so long
	// after its last commit.
	forgetAfter = 30 * 24 * time.Hour
)

var (
	// errNoTransaction is returned outside of a transaction.
	errNoTransaction = errors.New("there is no transaction")
	// errLost is returned if it cannot be found out whether a transaction was committed.
	errLost = errors.New("PostgreSQL does not say whether it has committed a transaction")
)

// Writer is the connection that writes. One goroutine uses it.
type Writer struct {
	db     *sql.DB
	key    int64     // of the advisory lock
	id     string    // of this process, in writers
	level  string    // of synchronous_commit, for what is durable
	own    int64     // transactions that this process has begun
	wrote  bool      // the transaction has changed something
	number int64     // of the last commit that changed something
	folded time.Time // the last fold
	// forgotten is the first of the commits that may still have a row.
	forgotten int64
	outage    time.Duration // outageLimit, unless tests change it
	frozen    time.Duration // frozenLimit, unless tests change it

	// queued are the statements that go with the next one. What they have are queuedBytes.
	queued      []*pgx.QueuedQuery
	queuedBytes int

	// conn is held from Begin to the end of the transaction, so that a connection that
	// broke is replaced by the next Begin.
	conn *sql.Conn
}

// Begin waits until no other process writes. It returns sqlite.ErrNewer if a newer version of the program has upgraded the
// tables meanwhile.
func (w *Writer) Begin() error {
	err := w.begin()
	if _, refused := errors.AsType[*pgconn.ConnectError](err); errors.Is(err, engine.ErrAway) && !refused {
		return w.begin() // the connection was broken from before
	}
	return err
}

func (w *Writer) begin() (err error) {
	ctx, cancel := limited()
	defer cancel()
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return away(context.Background(), err)
	}
	// Several statements without parameters go in one message. Those behind the lock see what
	// its holder before has committed.
	begin := fmt.Sprintf("BEGIN; SET LOCAL idle_in_transaction_session_timeout = %d; SELECT pg_advisory_xact_lock(%d); SELECT nextval('writes'); SELECT version FROM schema_version",
		w.frozen.Milliseconds(), w.key)
	version, err := w.lastNumber(begin)
	if err == nil {
		w.own++
	}
	if err == nil && version > sqlite.Schema() {
		err = sqlite.Newer(version)
	}
	if err != nil {
		w.Rollback()
		return away(context.Background(), err)
	}
	return nil
}

// lastNumber runs statements without parameters, and returns the number in the only row of the
// last one.
func (w *Writer) lastNumber(statements string) (n int, err error) {
	err = w.raw(func(c *pgx.Conn) error {
		results, err := c.PgConn().Exec(context.Background(), statements).ReadAll()
		if err != nil {
			return err
		}
		last := results[len(results)-1].Rows
		if len(last) != 1 || len(last[0]) != 1 {
			return errors.New("schema_version does not have one row")
		}
		n, err = strconv.Atoi(string(last[0][0]))
		return err
	})
	return n, err
}

// raw calls f with the connection, which has statementLimit for it. A deadline costs less than
// a context that ends, which takes a goroutine for each statement.
func (w *Writer) raw(f func(*pgx.Conn) error) error {
	return w.conn.Raw(func(c any) error {
		conn := c.(*stdlib.Conn).Conn()
		if err := conn.PgConn().Conn().SetDeadline(time.Now().Add(statementLimit)); err != nil {
			return err
		}
		return f(conn)
	})
}

// limited returns the context of one statement.
func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), statementLimit)
}

// Queue runs q with the next statement or the commit.
func (w *Writer) Queue(q *engine.Query, args ...any) error {
	if w.conn == nil {
		return errNoTransaction
	}
	w.queued = append(w.queued, &pgx.QueuedQuery{SQL: Text(q), Arguments: args})
	w.wrote = true
	for _, a := range args {
		switch a := a.(type) {
		case []byte:
			w.queuedBytes += len(a)
		case string:
			w.queuedBytes += len(a)
		}
	}
	if len(w.queued) < maxQueued && w.queuedBytes < maxQueuedBytes {
		return nil
	}
	return w.flush()
}

// flush runs what is queued.
func (w *Writer) flush() error {
	if len(w.queued) == 0 {
		return nil
	}
	_, err := w.send()
	return err
}

// send runs what is queued, and the statements behind it, in one message. It returns the number
// of rows that the last one has changed.
func (w *Writer) send(statements ...*pgx.QueuedQuery) (n int64, err error) {
	all := append(w.queued, statements...)
	w.queued, w.queuedBytes = w.queued[:0], 0
	err = w.raw(func(c *pgx.Conn) error {
		results := c.SendBatch(context.Background(), &pgx.Batch{QueuedQueries: all})
		for range all {
			tag, err := results.Exec()
			if err != nil {
				_ = results.Close() // it returns the same error
				return err
			}
			n = tag.RowsAffected()
		}
		return results.Close()
	})
	return n, away(context.Background(), err)
}

// Exec runs q and returns the number of rows that it changed.
func (w *Writer) Exec(q *engine.Query, args ...any) (int64, error) {
	if w.conn == nil {
		return 0, errNoTransaction
	}
	n, err := w.send(&pgx.QueuedQuery{SQL: Text(q), Arguments: args})
	w.wrote = w.wrote || n > 0
	return n, err
}

// Row scans the first row of q. It returns false if there is none.
func (w *Writer) Row(q *engine.Query, args []any, dest ...any) (found bool, err error) {
	err = w.query(q, args, func(rows pgx.Rows) error {
		if found = rows.Next(); !found {
			return nil
		}
		return row{rows}.Scan(dest...)
	})
	return found, err
}

// row scans numbers into *bool, as database/sql does: flags are numbers in the tables.
type row struct{ pgx.Rows }

func (r row) Scan(dest ...any) error {
	for i := range dest {
		if b, ok := dest[i].(*bool); ok {
			dest[i] = flag{b}
		}
	}
	return r.Rows.Scan(dest...)
}

// flag takes a number or a truth value.
type flag struct{ to *bool }

func (f flag) Scan(value any) error {
	switch v := value.(type) {
	case bool:
		*f.to = v
	case int64:
		*f.to = v != 0
	default:
		return fmt.Errorf("%T is not a flag", value)
	}
	return nil
}

// Each calls scan for every row of q.
func (w *Writer) Each(q *engine.Query, args []any, scan func(engine.Row) error) error {
	return w.query(q, args, func(rows pgx.Rows) error {
		for rows.Next() {
			if err := scan(row{rows}); err != nil {
				return err
			}
		}
		return nil
	})
}

// query runs what is queued, and q, in one message, and calls read with the rows of q.
func (w *Writer) query(q *engine.Query, args []any, read func(pgx.Rows) error) error {
	if w.conn == nil {
		return errNoTransaction
	}
	var readErr error // of a row, not of the connection
	err := w.raw(func(c *pgx.Conn) error {
		rows, end, err := w.begunQuery(c, q, args)
		if err != nil {
			return errors.Join(err, end())
		}
		readErr = read(rows)
		rows.Close()
		return errors.Join(rows.Err(), end())
	})
	return cmp.Or(away(context.Background(), err), readErr)
}

// begunQuery sends what is queued, and q. The caller closes the rows, and then calls end.
func (w *Writer) begunQuery(c *pgx.Conn, q *engine.Query, args []any) (rows pgx.Rows, end func() error, err error) {
	if len(w.queued) == 0 {
		rows, err = c.Query(context.Background(), Text(q), args...)
		return rows, func() error { return nil }, err
	}
	all := append(w.queued, &pgx.QueuedQuery{SQL: Text(q), Arguments: args})
	w.queued, w.queuedBytes = w.queued[:0], 0
	results := c.SendBatch(context.Background(), &pgx.Batch{QueuedQueries: all})
	for range len(all) - 1 {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // it returns the same error
			return nil, func() error { return nil }, err
		}
	}
	rows, err = results.Query()
	return rows, results.Close, err
}

// Commit ends the transaction. A durable one waits for the disk, and for synchronous standbys:
// until then nobody else sees what it changed. One that is not may be lost if the server
// crashes. A transaction that has changed something leaves its number in the rows of this
// process. If the connection breaks before the answer comes, the row says whether it was
// committed.
func (w *Writer) Commit(durable bool) error {
	if w.conn == nil {
		return errNoTransaction
	}
	wrote := w.wrote
	var commit []*pgx.QueuedQuery
	if wrote {
		level := "off"
		if durable {
			level = w.level
		}
		commit = []*pgx.QueuedQuery{
			{SQL: "SET LOCAL synchronous_commit = " + level},
			{SQL: "INSERT INTO commits (writer, number) VALUES ($1, $2)", Arguments: []any{w.id, w.number + 1}},
		}
	}
	_, err := w.send(append(commit, &pgx.QueuedQuery{SQL: "COMMIT"})...)
	var refused *pgconn.PgError
	// Class 57: the server ends the connection, for example because it stops.
	if err != nil && wrote && !(errors.As(err, &refused) && !strings.HasPrefix(refused.Code, "57")) {
		w.release() // a transaction that is still open ends with its connection
		err = w.findOut(err)
	} else {
		err = away(context.Background(), err)
	}
	if err != nil {
		return err // Rollback follows
	}
	if wrote {
		w.number++
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
		_, err = first(ctx, tx, qNumber, []any{w.id, w.number}, []any{&number})
		return err
	})
	switch {
	case unknown != nil:
		return fmt.Errorf("%w: %w", errLost, errors.Join(err, unknown))
	case number > w.number:
		return nil
	}
	return away(context.Background(), err)
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
	w.queued, w.queuedBytes = w.queued[:0], 0
	_ = w.raw(func(c *pgx.Conn) error {
		_, err := c.PgConn().Exec(context.Background(), "ROLLBACK").ReadAll()
		return err
	})
	w.release()
}

// release gives the connection back. database/sql closes it if it is broken or still in a
// transaction.
func (w *Writer) release() {
	if w.conn == nil {
		return
	}
	_ = w.conn.Raw(func(c any) error { return c.(*stdlib.Conn).Conn().PgConn().Conn().SetDeadline(time.Time{}) })
	_ = w.conn.Close()
	clear(w.queued[:cap(w.queued)]) // they may be large
	w.conn, w.wrote, w.queued, w.queuedBytes = nil, false, w.queued[:0], 0
}

// Sync does nothing: Commit waits for the disk.
func (w *Writer) Sync() error { return nil }

// Lost reports whether it is not known what was committed.
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
