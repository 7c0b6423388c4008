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

// own are the tables that SQLite does not have.
var own = []string{
	"CREATE TABLE schema_version (version BIGINT NOT NULL)", "INSERT INTO schema_version VALUES (0)",
	// It counts the transactions of all writers: see Writer.Version.
	"CREATE SEQUENCE writes", "SELECT nextval('writes')",
	// The number of the last commit of each connected process: see Writer.Commit.
	"CREATE TABLE writers (id TEXT NOT NULL PRIMARY KEY, number BIGINT NOT NULL, at BIGINT NOT NULL) WITH (fillfactor = 50)",
}

// migrate runs the steps that are missing, and returns the id of the ledger. newest is the
// version of the schema with all of them; steps after it are additive. The caller holds the
// lock of the writers.
func migrate(ctx context.Context, tx *sql.Tx, steps []string, newest int) (id string, err error) {
	version, applied, err := readSchema(ctx, tx)
	switch {
	case err != nil:
		return "", err
	case version > newest:
		return "", sqlite.Newer(version)
	}
	if applied < len(steps) {
		if err := apply(ctx, tx, steps, applied, newest); err != nil {
			return "", err
		}
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO identity (one, id) VALUES (1, $1) ON CONFLICT (one) DO NOTHING", sqlite.NewID()); err != nil {
		return "", err
	}
	err = tx.QueryRowContext(ctx, "SELECT id FROM identity WHERE one = 1").Scan(&id)
	return id, err
}

// readSchema returns the version of the schema, 0 for a database without tables, and how many
// migrations it has.
func readSchema(ctx context.Context, tx *sql.Tx) (version, applied int, err error) {
	for _, read := range []struct {
		table, query string
		dest         *int
	}{
		{"schema_version", "SELECT version FROM schema_version", &version},
		{"schema_additions", "SELECT applied FROM schema_additions", &applied},
	} {
		var known bool
		if err := tx.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", read.table).Scan(&known); err != nil {
			return 0, 0, err
		}
		if !known {
			continue
		}
		if err := tx.QueryRowContext(ctx, read.query).Scan(read.dest); err != nil {
			return 0, 0, err
		}
	}
	return version, max(version, applied), nil
}

// apply runs the steps after the applied ones, and records them.
func apply(ctx context.Context, tx *sql.Tx, steps []string, applied, newest int) error {
	missing := steps[applied:]
	if applied == 0 {
		missing = append(own[:len(own):len(own)], missing...)
	}
	for _, step := range missing {
		if _, err := tx.ExecContext(ctx, text.ReplaceAllString(step, `TEXT COLLATE "C"$1`)); err != nil {
			return fmt.Errorf("upgrade of the schema, after migration %d: %w: %.100s", applied, err, step)
		}
	}
	if err := tune(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE schema_version SET version = $1", newest); err != nil || len(steps) == newest {
		return err
	}
	_, err := tx.ExecContext(ctx, sqlite.RecordAdditions(len(steps)))
	return err
}
