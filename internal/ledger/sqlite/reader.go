package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const readers = 4 // connections for reading

// Reader is the connections for reading and their statements. It is safe for concurrent
// use.
type Reader struct {
	db    *sql.DB
	mu    sync.RWMutex
	stmts []*sql.Stmt // by query number
}

func openReader(ctx context.Context, path string) (*Reader, error) {
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "query_only(1)", "cache_size(-1024)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Reader{db: db, stmts: make([]*sql.Stmt, len(engine.Queries))}, nil
}

// DB returns the connections for statements that are not registered. They cannot write.
func (r *Reader) DB() *sql.DB { return r.db }

func (r *Reader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(closeStatements(r.stmts), r.db.Close())
}

// known returns the prepared statement of q, or nil.
func (r *Reader) known(q *engine.Query) *sql.Stmt {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.stmts[q.Number]
}

// stmt returns the prepared statement of q. database/sql prepares it again on each
// connection. stmt may wait for a connection and holds no lock meanwhile. A caller must
// not hold a connection.
func (r *Reader) stmt(ctx context.Context, q *engine.Query) (*sql.Stmt, error) {
	if s := r.known(q); s != nil {
		return s, nil
	}
	s, err := r.db.PrepareContext(ctx, q.Text)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first := r.stmts[q.Number]; first != nil {
		return first, s.Close()
	}
	r.stmts[q.Number] = s
	return s, nil
}

// Each calls scan for every row of q.
func (r *Reader) Each(ctx context.Context, q *engine.Query, args []any, scan func(engine.Row) error) error {
	s, err := r.stmt(ctx, q)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// Row scans the first row of q. It returns false if there is none.
func (r *Reader) Row(ctx context.Context, q *engine.Query, args []any, dest ...any) (bool, error) {
	return firstRow(ctx, r, q, args, dest)
}

func firstRow(ctx context.Context, r engine.Reader, q *engine.Query, args, dest []any) (bool, error) {
	found := false
	err := r.Each(ctx, q, args, func(row engine.Row) error {
		found = true
		return row.Scan(dest...)
	})
	return found, err
}

func eachRow(rows *sql.Rows, scan func(engine.Row) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// closeStatements closes statements. SQLite does not end a connection that has some.
func closeStatements(list []*sql.Stmt) error {
	var errs []error
	for i, s := range list {
		if s != nil {
			errs = append(errs, s.Close())
		}
		list[i] = nil
	}
	return errors.Join(errs...)
}
