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

// ErrNewer is returned where a newer version of the program has changed the schema.
var ErrNewer = errors.New("a newer version of the program has upgraded the ledger: start that version, or put the backup from before the upgrade back (docs/operations.md, Upgrading)")

// errForeign is returned for a file that is the database of another program.
var errForeign = errors.New("is an SQLite database, but not a ledger of runnerbean: name another file")

//go:embed migrations/*.sql
var migrations embed.FS

// onlySQLite matches the parts of a migration that are a comment to other engines.
var onlySQLite = regexp.MustCompile(`/\*sqlite: (.*?) \*/`)

// step is one migration.
type step struct{ name, text string }

// schema is the migrations in order. The version of a schema is their number.
type schema []step

// present is the schema that this program knows.
var present = readMigrations()

// Schema returns the version of the schema that this program knows.
func Schema() int { return len(present) }

// Migrations returns the texts of the migrations as other engines run them.
func Migrations() (list []string) {
	files, err := fs.ReadDir(migrations, "migrations")
	for _, file := range files {
		text, fault := migrations.ReadFile("migrations/" + file.Name())
		list, err = append(list, onlySQLite.ReplaceAllString(string(text), "")), errors.Join(err, fault)
	}
	if err != nil {
		panic(err) // they are part of the program
	}
	return list
}

func readMigrations() (s schema) {
	list, err := fs.ReadDir(migrations, "migrations")
	for _, file := range list {
		text, fault := migrations.ReadFile("migrations/" + file.Name())
		s, err = append(s, step{file.Name(), onlySQLite.ReplaceAllString(string(text), "$1")}), errors.Join(err, fault)
	}
	if err != nil {
		panic(err) // they are part of the program
	}
	return s
}

// Newer returns an ErrNewer for a ledger of a version.
func Newer(version int) error { return present.newer(version) }

// newer returns an ErrNewer for a file of a version.
func (s schema) newer(version int) error {
	return fmt.Errorf("it has schema %d, and this program knows %d: %w", version, len(s), ErrNewer)
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

// apply runs the migrations after a version and records the newest.
func (s schema) apply(ctx context.Context, tx *sql.Tx, version int) error {
	for _, step := range s[version:] {
		if _, err := tx.ExecContext(ctx, step.text); err != nil {
			return fmt.Errorf("schema %s: %w", step.name, err)
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
	// An upgrade of this kind is not wanted any more.
	if _, err := tx.ExecContext(ctx, "DELETE FROM upgrade"); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "UPDATE schema_version SET version = "+strconv.Itoa(len(s)))
	return err
}

// create makes the tables of a new ledger unless another process has.
func (s schema) create(ctx context.Context, conn *sql.Conn) error {
	return inTransaction(ctx, conn, func(tx *sql.Tx) error {
		version, err := readSchema(ctx, tx)
		if err != nil || version > 0 {
			return err
		}
		return s.apply(ctx, tx, 0)
	})
}

// inTransaction runs do in a transaction that holds the write lock from its begin.
func inTransaction(ctx context.Context, conn *sql.Conn, do func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
