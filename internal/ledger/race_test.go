//go:build race

package ledger

// The race detector slows SQLite down ten times, because it is Go here.
func init() { checks, manyDependents = "20", 2001 }
