// Package sqlitetest tells tests how SQLite answers the queries of the ledger.
package sqlitetest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

// Plans returns a function that returns the steps of a query's plan in an empty
// ledger.
func Plans(t *testing.T) func(*engine.Query) []string {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return func(q *engine.Query) (steps []string) {
		t.Helper()
		args := slices.Repeat([]any{""}, strings.Count(q.Text, "?"))
		rows, err := db.Reader.DB().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+q.Text, args...)
		if err != nil {
			t.Fatalf("%s: %v", q.Text, err)
		}
		defer rows.Close()
		for rows.Next() {
			var a, b, c int
			var detail string
			if err := rows.Scan(&a, &b, &c, &detail); err != nil {
				t.Fatal(err)
			}
			steps = append(steps, detail)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return steps
	}
}

// Want fails the test where the plan of a query does not hold a text.
func Want(t *testing.T, want map[*engine.Query]string) {
	t.Helper()
	plan := Plans(t)
	for q, text := range want {
		if got := strings.Join(plan(q), "\n"); !strings.Contains(got, text) {
			t.Errorf("%s\n%s\nwant %s", q.Text, got, text)
		}
	}
}
