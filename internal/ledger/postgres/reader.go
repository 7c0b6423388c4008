package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Reader is the connections for reading. It is safe for concurrent use.
type Reader struct{ db *sql.DB }

// DB returns the connections for statements that are not registered.
func (r *Reader) DB() *sql.DB { return r.db }

// Each calls scan for every row of q.
func (r *Reader) Each(ctx context.Context, q *engine.Query, args []any, scan func(engine.Row) error) error {
	return each(ctx, r.db, q, args, scan)
}

// Row scans the first row of q. It returns false if there is none.
func (r *Reader) Row(ctx context.Context, q *engine.Query, args []any, dest ...any) (bool, error) {
	return first(ctx, r.db, q, args, dest)
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
	rows, err := db.QueryContext(ctx, textOf(q), args...)
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
	rows, err := db.QueryContext(ctx, textOf(q), args...)
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

// textOf returns the text of a query with numbered parameters.
func textOf(q *engine.Query) string {
	if known, ok := texts.Load(q); ok {
		return known.(string)
	}
	text := numbered(cmp.Or(q.PostgreSQL, q.Text))
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
