package engine

import "time"

// Server is how a server of PostgreSQL is doing.
type Server struct {
	Version string
	// DeadRows are the rows of the ledger's tables that nobody can see any more and that are
	// still to be removed, LiveRows the others. Both are estimates of the server.
	DeadRows, LiveRows int64
	// Size is that of the ledger's tables with their indexes, in bytes.
	Size int64
	// Oldest is the age of the oldest transaction of the database: until it ends, no row that
	// died later can be removed. OldestBy is the application that holds it.
	Oldest   time.Duration
	OldestBy string
	// Standbys are the standbys that receive changes, as far as the user may see them, and
	// Synchronous how many of them a commit waits for. Lag is how far the slowest is behind.
	Standbys, Synchronous int
	Lag                   time.Duration
	// Connections is how many are open, and MaxConnections how many may be.
	Connections, MaxConnections int
	// Unsafe are settings under which the server may lose what was answered or slow down,
	// such as "fsync = off".
	Unsafe []string
}
