package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
)

// ErrNewer is returned by Open if a newer version of the program has changed the schema.
var ErrNewer = errors.New("was written by a newer version")

//go:embed migrations/*.sql
var migrations embed.FS

// onlySQLite matches the parts of a migration that are a comment to other engines.
var onlySQLite = regexp.MustCompile(`/\*sqlite: (.*?) \*/`)

// migrate runs the missing migrations in one transaction. Of several nodes that start
// together, one does it.
func migrate(ctx context.Context, conn *sql.Conn) (err error) {
	steps, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	version, err := schemaVersion(ctx, tx)
	if err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("schema version %d, this program knows %d: %w", version, len(steps), ErrNewer)
	}
	if version == len(steps) {
		return tx.Rollback()
	}
	for _, step := range steps[version:] {
		if err := apply(ctx, tx, step.Name()); err != nil {
			return fmt.Errorf("schema %s: %w", step.Name(), err)
		}
	}
	if err := identify(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE schema_version SET version = "+fmt.Sprint(len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}

func schemaVersion(ctx context.Context, tx *sql.Tx) (version int, err error) {
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)"); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT version FROM schema_version").Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.ExecContext(ctx, "INSERT INTO schema_version (version) VALUES (0)")
	}
	return version, err
}

func apply(ctx context.Context, tx *sql.Tx, name string) error {
	text, err := migrations.ReadFile("migrations/" + name)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, onlySQLite.ReplaceAllString(string(text), "$1"))
	return err
}
