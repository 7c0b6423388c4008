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
	"strings"
)

// ErrNewer is returned where a newer version of the program has changed the schema.
var ErrNewer = errors.New("a newer version of the program has upgraded the ledger: start that version, or put the backup from before the upgrade back (docs/operations.md, Upgrading)")

// errForeign is returned for a file that is the database of another program.
var errForeign = errors.New("is an SQLite database, but not a ledger of runnerbean: name another file")

// MovedSchema is the version of the schema of a file whose ledger is in PostgreSQL. No program
// opens it.
const MovedSchema = 1_000_000

// movedError is an ErrNewer for a file whose ledger is in PostgreSQL.
type movedError struct{}

func (movedError) Error() string {
	return "\"runnerbean migrate\" has moved the ledger to PostgreSQL: set RUNNERBEAN_LEDGER to the URL of that database"
}

func (movedError) Is(target error) bool { return target == ErrNewer }

//go:embed migrations/*.sql
var migrations embed.FS

// onlySQLite and onlyPostgreSQL match the parts of a migration that are a comment to other
// engines.
var (
	onlySQLite     = regexp.MustCompile(`/\*sqlite: (.*?) \*/`)
	onlyPostgreSQL = regexp.MustCompile(`(?s)/\*postgresql: (.*?) \*/`)
)

// additive ends the names of migrations that older programs need not know: they add tables,
// indexes, or columns with a default, and change nothing that is there. They run while nodes of
// older versions work on the ledger.
const additive = ".additive.sql"

// step is one migration.
type step struct{ name, text string }

// schema is the migrations in order.
type schema []step

// version returns the number of the last migration that is not additive. It is the version
// that a ledger records: a program that knows it may use the ledger, whatever additive
// migrations have run since.
func (s schema) version() int {
	for n := len(s); n > 0; n-- {
		if !strings.HasSuffix(s[n-1].name, additive) {
			return n
		}
	}
	return 0
}

// present is the schema that this program knows.
var present = readMigrations()

// Schema returns the version of the schema that this program knows.
func Schema() int { return present.version() }

// Migrations returns the texts of the migrations as PostgreSQL runs them.
func Migrations() (list []string) {
	files, err := fs.ReadDir(migrations, "migrations")
	for _, file := range files {
		text, fault := migrations.ReadFile("migrations/" + file.Name())
		list, err = append(list, onlyPostgreSQL.ReplaceAllString(onlySQLite.ReplaceAllString(string(text), ""), "$1")), errors.Join(err, fault)
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
	if version == MovedSchema {
		return movedError{}
	}
	return fmt.Errorf("it has schema %d, and this program knows %d: %w", version, s.version(), ErrNewer)
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

// readApplied returns how many migrations a file of a version has. A program that knows fewer
// has opened it before, or a program that knows more.
func readApplied(ctx context.Context, q querier, version int) (n int, err error) {
	var known bool
	if err := q.QueryRowContext(ctx, "SELECT COUNT(*) > 0 FROM sqlite_master WHERE name = 'schema_additions'").Scan(&known); err != nil || !known {
		return version, err
	}
	err = q.QueryRowContext(ctx, "SELECT applied FROM schema_additions").Scan(&n)
	return max(n, version), err
}

// apply runs the migrations that a file of a version does not have, and records them.
func (s schema) apply(ctx context.Context, tx *sql.Tx, version int) error {
	applied, err := readApplied(ctx, tx, version)
	if err != nil {
		return err
	}
	for _, step := range s[min(applied, len(s)):] {
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
	if _, err := tx.ExecContext(ctx, "UPDATE schema_version SET version = "+strconv.Itoa(s.version())); err != nil || len(s) == s.version() {
		return err
	}
	_, err = tx.ExecContext(ctx, RecordAdditions(len(s)))
	return err
}

// RecordAdditions returns the statements that record the number of migrations of a ledger whose
// last ones are additive. A table of its own leaves older programs what they know.
func RecordAdditions(applied int) string {
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS schema_additions (applied BIGINT NOT NULL); DELETE FROM schema_additions; INSERT INTO schema_additions VALUES (%d)", applied)
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
