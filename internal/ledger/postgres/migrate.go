package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"

	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

// text matches the type of columns of text. They are compared byte by byte, as in SQLite,
// whatever the collation of the database is.
var text = regexp.MustCompile(`\bTEXT\b( +NOT NULL)?`)

// migrate runs the migrations that are missing, and returns the id of the ledger. The caller
// holds the lock of the writers.
func migrate(ctx context.Context, tx *sql.Tx) (id string, err error) {
	version := 0
	var known bool
	if err := tx.QueryRowContext(ctx, "SELECT to_regclass('schema_version') IS NOT NULL").Scan(&known); err != nil {
		return "", err
	}
	if known {
		if err := tx.QueryRowContext(ctx, "SELECT version FROM schema_version").Scan(&version); err != nil {
			return "", err
		}
	}
	steps := sqlite.Migrations()
	switch {
	case version > len(steps):
		return "", sqlite.Newer(version)
	case !known:
		// The sequence counts the transactions of all writers: see Writer.Version.
		steps = append(steps, "CREATE TABLE schema_version (version BIGINT NOT NULL)", "INSERT INTO schema_version VALUES (0)",
			"CREATE SEQUENCE writes", "SELECT nextval('writes')",
			// The number of the last commit of each connected process: see Writer.Commit.
			"CREATE TABLE writers (id TEXT NOT NULL PRIMARY KEY, number BIGINT NOT NULL, at BIGINT NOT NULL) WITH (fillfactor = 50)")
	}
	for i, step := range steps[version:] {
		if _, err := tx.ExecContext(ctx, text.ReplaceAllString(step, `TEXT COLLATE "C"$1`)); err != nil {
			return "", fmt.Errorf("schema %d: %w", version+i+1, err)
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE schema_version SET version = $1", sqlite.Schema()); err != nil {
		return "", err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO identity (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING", sqlite.NewID()); err != nil {
		return "", err
	}
	err = tx.QueryRowContext(ctx, "SELECT id FROM identity WHERE one = 1").Scan(&id)
	return id, err
}
