package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	readers = 4 // connections for reading
	// readLimit bounds a read with its repetitions: a server that stands still breaks no
	// connection. Pages wait for 20 s.
	readLimit = 15 * time.Second
)

// Reader is the connections for reading. It is safe for concurrent use.
type Reader struct{ db *sql.DB }

// DB returns the connections for statements that are not registered.
func (r *Reader) DB() *sql.DB { return r.db }

// Each calls scan for every row of q.
func (r *Reader) Each(ctx context.Context, q *engine.Query, args []any, scan func(engine.Row) error) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	scanned := false
	return again(ctx, func() error {
		return each(ctx, r.db, q, args, func(row engine.Row) error { scanned = true; return scan(row) })
	}, func() bool { return !scanned })
}

// Row scans the first row of q. It returns false if there is none.
func (r *Reader) Row(ctx context.Context, q *engine.Query, args []any, dest ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	found := false
	err := again(ctx, func() (err error) {
		found, err = first(ctx, r.db, q, args, dest)
		return err
	}, func() bool { return true })
	return found, err
}

// again reads, and reads again where a connection is broken from before, as all are after the
// server has started again. It does not if no new connection can be made, or may says that
// rows were passed on.
func again(ctx context.Context, read func() error, may func() bool) (err error) {
	for range readers + 1 {
		err = away(ctx, read())
		_, refused := errors.AsType[*pgconn.ConnectError](err)
		if !errors.Is(err, engine.ErrAway) || refused || ctx.Err() != nil || !may() {
			return err
		}
	}
	return err
}

type snapshot struct{ tx *sql.Tx }

func (r *Reader) snapshot(ctx context.Context) (*snapshot, error) {
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return &snapshot{tx}, nil
}

func (s *snapshot) Close(context.Context) { _ = s.tx.Rollback() }

func (s *snapshot) Each(ctx context.Context, q *engine.Query, args []any, scan func(engine.Row) error) error {
	return each(ctx, s.tx, q, args, scan)
}

func (s *snapshot) Row(ctx context.Context, q *engine.Query, args []any, dest ...any) (bool, error) {
	return first(ctx, s.tx, q, args, dest)
}

// querier is a *sql.DB, *sql.Conn or *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func each(ctx context.Context, db querier, q *engine.Query, args []any, scan func(engine.Row) error) error {
	rows, err := db.QueryContext(ctx, Text(q), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func first(ctx context.Context, db querier, q *engine.Query, args, dest []any) (bool, error) {
	rows, err := db.QueryContext(ctx, Text(q), args...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return false, rows.Err()
	}
	if err := rows.Scan(dest...); err != nil {
		return true, err
	}
	return true, rows.Close()
}

// texts are the texts for PostgreSQL, by query.
var texts sync.Map

// byKey finds conditions on the state of a job of which the id is given. The planner must not
// see that a partial index on a state would do: with the statistics of an empty queue it takes
// that for smaller than the key, and reads all queued jobs for each claim.
var byKey = regexp.MustCompile(`(\bid = \$\d+ AND )state (=|IN)`)

// Text returns the text for PostgreSQL of a query with numbered parameters.
func Text(q *engine.Query) string {
	if known, ok := texts.Load(q); ok {
		return known.(string)
	}
	text := byKey.ReplaceAllString(numbered(cmp.Or(q.PostgreSQL, q.Text)), "${1}(state || '') $2")
	texts.Store(q, text)
	return text
}

// numbered writes parameters as $1, $2 and so on. A ? in a literal stays.
func numbered(query string) string {
	var b strings.Builder
	n, literal := 0, false
	for _, c := range []byte(query) {
		if c == '\'' {
			literal = !literal
		}
		if c != '?' || literal {
			b.WriteByte(c)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}
