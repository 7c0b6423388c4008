// Package postgres stores the ledger in PostgreSQL. Each process has one connection that
// writes and some that read. The writers of all processes take turns by an advisory lock, as
// those of an SQLite file do, so that the rules of the ledger are the same.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

const (
	// idleLimit is how long a connection stays open that nothing uses.
	idleLimit = time.Minute
)

// lockKey is the key of the advisory lock of the writers: ledgers of several schemas in one
// database do not wait for one another.
const lockKey = "hashtextextended('runnerbean ledger ' || current_schema(), 0)"

// Open connects to a database and makes or upgrades the tables in the first schema of its
// search_path. url is a connection URL or string of libpq. The error never holds the
// password. The caller closes the Database.
func Open(ctx context.Context, url string) (engine.Database, error) {
	return openWith(ctx, url, sqlite.Migrations(), sqlite.Schema())
}

// openWith is Open with the migrations of a program, and the version of its schema.
func openWith(ctx context.Context, url string, steps []string, newest int) (engine.Database, error) {
	config, err := parse(url)
	if err != nil {
		return engine.Database{}, err
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	db.SetConnMaxIdleTime(idleLimit)
	w := &Writer{db: stdlib.OpenDB(*config), outage: outageLimit, frozen: frozenLimit}
	w.db.SetMaxOpenConns(1)
	r := &Reader{db: db}
	closeAll := func() error { return errors.Join(w.close(), db.Close()) }
	id, err := w.prepare(ctx, steps, newest)
	if err != nil {
		return engine.Database{}, errors.Join(explained(err), closeAll())
	}
	return engine.Database{
		ID: id, Reader: r, Writer: w, Close: closeAll, Abandon: closeAll,
		Snapshot: func(ctx context.Context) (engine.Snapshot, error) { return r.snapshot(ctx) },
		Server:   func(ctx context.Context) (engine.Server, error) { return inspect(ctx, db) },
	}, nil
}

// Peek reads a ledger that other processes may have open. It changes nothing. It returns the
// zero value if there are no tables yet.
func Peek(ctx context.Context, url string) (p engine.Peeked, err error) {
	config, err := parse(url)
	if err != nil {
		return p, err
	}
	ctx, cancel := context.WithTimeout(ctx, statementLimit)
	defer cancel()
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkServer(ctx, db); err != nil {
		return p, explained(err)
	}
	var known bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass('schema_version') IS NOT NULL").Scan(&known); err != nil || !known {
		return p, explained(err)
	}
	p, err = sqlite.ReadPeeked(ctx, db, func(string, string) (bool, error) { return true, nil })
	return p, explained(err)
}

// prepare makes or upgrades the tables, and returns the id of the ledger.
func (w *Writer) prepare(ctx context.Context, steps []string, newest int) (id string, err error) {
	if err := checkServer(ctx, w.db); err != nil {
		return "", err
	}
	// An operator may have turned synchronous_commit off for other programs.
	level := "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END"
	if err := w.db.QueryRowContext(ctx, "SELECT "+lockKey+", "+level).Scan(&w.key, &w.level); err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", w.key); err != nil {
		return "", err
	}
	if id, err = migrate(ctx, tx, steps, newest); err != nil {
		return "", err
	}
	now, own := time.Now(), sqlite.NewID()
	if _, err := tx.ExecContext(ctx, "DELETE FROM writers WHERE at < $1", engine.Micros(now.Add(-forgetAfter))); err != nil {
		return "", err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM commits WHERE NOT EXISTS (SELECT 1 FROM writers WHERE id = writer)"); err != nil {
		return "", err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO writers (id, number, at) VALUES ($1, 0, $2)", own, engine.Micros(now)); err != nil {
		return "", err
	}
	if err := tx.Commit(); err != nil {
		return "", err
	}
	w.id = own
	return id, nil
}

// oldest is the oldest version of PostgreSQL that has what the ledger uses.
const oldest = 13

// checkServer returns why no ledger can be in a database.
func checkServer(ctx context.Context, db *sql.DB) error {
	var version int
	var release, encoding string
	var schema, tables, may bool
	err := db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_setting('server_encoding'),
		current_schema() IS NOT NULL, to_regclass('schema_version') IS NOT NULL, COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)`).
		Scan(&version, &release, &encoding, &schema, &tables, &may)
	switch {
	case err != nil:
		return fmt.Errorf("connect: %w", err)
	case version < oldest*10000:
		return fmt.Errorf("the server is PostgreSQL %s: %d or newer is needed", release, oldest)
	case encoding != "UTF8":
		return fmt.Errorf("the encoding of the database is %s, which cannot hold all text: make one with UTF8 (createdb -T template0 -E UTF8)", encoding)
	case !schema:
		return errors.New("search_path names no schema that is there: " + noSchema)
	case !tables && !may:
		return errors.New("the user may make no tables in the first schema of search_path: " + advice["42501"])
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
