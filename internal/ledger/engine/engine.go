// Package engine defines what the parts of the ledger use of a database: queries,
// readers, transactions and operations. It imports no driver.
package engine

import (
	"context"
	"time"
)

// Row is one row of a result.
type Row interface {
	Scan(dest ...any) error
}

// Reader runs queries that only read.
type Reader interface {
	// Each calls scan for every row of q until the first error.
	Each(ctx context.Context, q *Query, args []any, scan func(Row) error) error
	// Row scans the first row of q. It returns false if there is none.
	Row(ctx context.Context, q *Query, args []any, dest ...any) (bool, error)
}

// Tx is the transaction in which an operation runs.
type Tx interface {
	// Now returns the time of the transaction.
	Now() time.Time
	// Exec changes rows and returns their number.
	Exec(q *Query, args ...any) (int64, error)
	// Queue is Exec for a change whose number of rows nobody asks for. It runs before the
	// next statement, or at the commit.
	Queue(q *Query, args ...any) error
	// Change is Row for a statement that changes rows.
	Change(q *Query, args []any, dest ...any) (bool, error)
	// Row scans the first row of q. It returns false if there is none.
	Row(q *Query, args []any, dest ...any) (bool, error)
	// Each calls scan for every row of q. scan must not run statements.
	Each(q *Query, args []any, scan func(Row) error) error
	// Strings reads a column of text.
	Strings(q *Query, args ...any) ([]string, error)
	// Note writes an event at the commit. by is the person who caused it, or "".
	Note(by, kind, job, node, message string)
	// Changed reports a changed job to the listeners of the ledger after the commit.
	Changed(job string)
}

// Op is an operation that writes.
type Op struct {
	Name string // for the metrics
	// Weight is roughly the number of jobs that it changes.
	Weight int
	// Soft means that the caller is answered after the commit, before the sync.
	Soft bool
	// Run may be called again after a rollback; it then starts from nothing.
	Run func(Tx) error
}

// Access is what a part of the ledger uses of it.
type Access struct {
	Reader
	// Now is the clock of the ledger: UTC in microseconds.
	Now func() time.Time
	// Do runs an operation and returns after the commit that holds it.
	Do func(context.Context, Op) error
	// Observe reports the end of an operation: its name, its begin and its error. It is
	// deferred.
	Observe func(op string, began time.Time, err *error)
}
