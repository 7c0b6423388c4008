package sqlite

import (
	"context"
	"database/sql"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Snapshot reads in one transaction. It does not see commits between two queries. It is
// used by one goroutine.
type Snapshot struct {
	reader *Reader
	tx     *sql.Tx
	// unknown are queries that were not prepared yet.
	unknown []*engine.Query
}

// Snapshot begins a snapshot. The caller closes it.
func (r *Reader) Snapshot(ctx context.Context) (*Snapshot, error) {
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return &Snapshot{reader: r, tx: tx}, nil
}

// Close releases the connection and then prepares the unknown queries.
func (s *Snapshot) Close(ctx context.Context) {
	_ = s.tx.Rollback()
	for _, q := range s.unknown {
		_, _ = s.reader.stmt(ctx, q) // the next caller tries again
	}
}

// Each calls scan for every row of q.
func (s *Snapshot) Each(ctx context.Context, q *engine.Query, args []any, scan func(engine.Row) error) error {
	var rows *sql.Rows
	var err error
	if stmt := s.reader.known(q); stmt != nil {
		rows, err = s.tx.StmtContext(ctx, stmt).QueryContext(ctx, args...)
	} else { // preparing takes a second connection, for which others may wait
		s.unknown = append(s.unknown, q)
		rows, err = s.tx.QueryContext(ctx, q.Text, args...)
	}
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// Row scans the first row of q. It returns false if there is none.
func (s *Snapshot) Row(ctx context.Context, q *engine.Query, args []any, dest ...any) (bool, error) {
	return firstRow(ctx, s, q, args, dest)
}
