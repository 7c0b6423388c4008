// Package engine holds what the parts of the ledger need of a database: queries,
// readers, transactions and operations. It knows no database and no table.
package engine

import (
	"context"
	"time"
)

// Row is one row of an answer.
type Row interface {
	Scan(dest ...any) error
}

// Reader answers queries.
type Reader interface {
	// Each calls scan for every row of q, and ends with the first error.
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
	// Change is Row for a statement that changes rows.
	Change(q *Query, args []any, dest ...any) (bool, error)
	// Row scans the first row of q. It returns false if there is none.
	Row(q *Query, args []any, dest ...any) (bool, error)
	// Each calls scan for every row of q. scan must not run statements.
	Each(q *Query, args []any, scan func(Row) error) error
	// Strings reads a column of text.
	Strings(q *Query, args ...any) ([]string, error)
	// Note writes an event at the commit. by names the person who asked for it,
	// or is empty.
	Note(by, kind, job, node, message string)
	// Changed tells the listeners of the ledger after the commit that a job changed.
	Changed(job string)
}

// Op is an operation that writes.
type Op struct {
	Name string // for the metrics
	// Weight is about how many jobs it changes.
	Weight int
	// Soft: the caller is answered after the commit, before it is on the disk.
	Soft bool
	// Run may be called again after a rollback, and then starts from nothing.
	Run func(Tx) error
}

// Access is what a part of the ledger gets of it.
type Access struct {
	Reader
	// Now is the ledger's clock: UTC in microseconds.
	Now func() time.Time
	// Do runs an operation and returns after the commit that holds it.
	Do func(context.Context, Op) error
	// Observe reports an operation that ends: its name, when it began and its error.
	// It is deferred.
	Observe func(op string, began time.Time, err *error)
}
