package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
)

// ErrNewer is returned by Open if a newer version of the program has changed the schema.
var ErrNewer = errors.New("was written by a newer version")

//go:embed migrations/*.sql
var migrations embed.FS

// onlySQLite matches the parts of a migration that are a comment to other engines.
var onlySQLite = regexp.MustCompile(`/\*sqlite: (.*?) \*/`)

// errForeign is returned for a file that is the database of another program.
var errForeign = errors.New("is an SQLite database, but not a ledger of runnerbean: name another file")

// knownSchema is the version of the schema that this program knows.
var knownSchema = len(steps())

// steps returns the names of the migrations in order.
func steps() (names []string) {
	list, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, file := range list {
		names = append(names, file.Name())
	}
	return names
}

// Options say how a file is opened.
type Options struct {
	// Create is asked before the tables of a new ledger are made. Its error ends Open, and
	// the file stays without tables. Default: it is allowed.
	Create func() error
}

// migrate runs the missing migrations in one transaction. Of several nodes that start
// together, one does it.
func migrate(ctx context.Context, conn *sql.Conn, o Options) (err error) {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	version, err := readSchema(ctx, tx)
	switch {
	case err != nil:
		return err
	case version > knownSchema:
		return fmt.Errorf("schema version %d, this program knows %d: %w", version, knownSchema, ErrNewer)
	case version == knownSchema:
		return tx.Rollback()
	case version == 0 && o.Create != nil:
		if err := o.Create(); err != nil {
			return err
		}
	}
	if err := applyFrom(ctx, tx, version); err != nil {
		return err
	}
	return tx.Commit()
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readSchema returns the version of the schema of a file, 0 for a file without tables.
func readSchema(ctx context.Context, q querier) (version int, err error) {
	var tables, known int
	err = q.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(name = 'schema_version'), 0) FROM sqlite_master WHERE type = 'table'").Scan(&tables, &known)
	switch {
	case err != nil || tables == 0:
		return 0, err
	case known == 0:
		return 0, errForeign
	}
	err = q.QueryRowContext(ctx, "SELECT version FROM schema_version").Scan(&version)
	return version, err
}

// applyFrom runs the migrations after a version and records the newest.
func applyFrom(ctx context.Context, tx *sql.Tx, version int) error {
	for _, name := range steps()[version:] {
		if err := apply(ctx, tx, name); err != nil {
			return fmt.Errorf("schema %s: %w", name, err)
		}
	}
	if err := identify(ctx, tx); err != nil {
		return err
	}
	if version == 0 {
		if _, err := tx.ExecContext(ctx, "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (0)"); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "UPDATE schema_version SET version = "+strconv.Itoa(knownSchema))
	return err
}

func apply(ctx context.Context, tx *sql.Tx, name string) error {
	text, err := migrations.ReadFile("migrations/" + name)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, onlySQLite.ReplaceAllString(string(text), "$1"))
	return err
}
