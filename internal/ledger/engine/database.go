package engine

import "context"

// Database is an open database of a ledger: an SQLite file, or PostgreSQL.
type Database struct {
	// ID is the id of the ledger, made with its tables.
	ID     string
	Reader Reader
	Writer Writer
	// Snapshot begins a snapshot. The caller closes it.
	Snapshot func(context.Context) (Snapshot, error)
	// Server says how the server of the database is doing; nil for a file.
	Server func(context.Context) (Server, error)
	// Close closes all connections.
	Close func() error
	// Abandon closes all connections after a lost write.
	Abandon func() error
}

// Snapshot reads in one transaction, which sees no later commits. One goroutine uses it.
type Snapshot interface {
	Reader
	Close(context.Context)
}

// Writer runs transactions one after the other: no other process writes to the ledger from
// Begin to Commit. So a transaction may read, decide and write. One goroutine uses it;
// another one may call Sync meanwhile.
type Writer interface {
	// Begin waits until no other process writes.
	Begin() error
	// Exec changes rows and returns their number.
	Exec(q *Query, args ...any) (int64, error)
	// Queue runs q before the next statement or the commit, which returns its error. It is
	// for changes whose number of rows nobody asks for: a server gets them in one message
	// with what follows.
	Queue(q *Query, args ...any) error
	// Row scans the first row of q. It returns false if there is none.
	Row(q *Query, args []any, dest ...any) (bool, error)
	// Each calls scan for every row of q. scan must not run statements.
	Each(q *Query, args []any, scan func(Row) error) error
	// Commit ends the transaction. What it changed survives the death of this process. What
	// is durable also survives a power cut, at once or after Sync: an engine whose readers
	// may see a commit before a crash that loses it waits for the disk here.
	Commit(durable bool) error
	// Rollback ends the transaction without its changes. It may have ended already.
	Rollback()
	// Sync makes all durable commits survive a power cut.
	Sync() error
	// Checkpoint does between two transactions what the engine needs now and then.
	Checkpoint() error
	// Lost reports whether an error of Commit, Sync or Checkpoint means that commits may be
	// lost that have been answered. The ledger then takes no more writes.
	Lost(err error) bool
	// Version returns a number that changes with commits of others, or -1.
	Version() int64
}
