//go:build race

package ledger

// The race detector makes SQLite, which is Go here, ten times slower.
func init() { checks = "20" }
