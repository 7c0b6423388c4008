// Package postgres stores the ledger in PostgreSQL. Each process has one connection that
// writes, a second one that syncs, and some that read. The writers of all processes take
// turns by an advisory lock, as those of an SQLite file do, so that the rules of the ledger
// are the same.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

const (
	readers = 4 // connections for reading
	// connectLimit bounds the making of a connection.
	connectLimit = 10 * time.Second
	// idleLimit is how long a connection stays open that nothing uses.
	idleLimit = time.Minute
)

// Open connects to a database and makes or upgrades the tables in the first schema of its
// search_path. url is a connection URL or string of libpq. The error never holds the
// password. The caller closes the Database.
func Open(ctx context.Context, url string) (engine.Database, error) {
	config, err := parse(url)
	if err != nil {
		return engine.Database{}, err
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(readers)
	db.SetMaxIdleConns(readers)
	db.SetConnMaxIdleTime(idleLimit)
	w := &Writer{db: stdlib.OpenDB(*config), syncDB: stdlib.OpenDB(*config), outage: outageLimit}
	w.db.SetMaxOpenConns(1)
	w.syncDB.SetMaxOpenConns(1)
	r := &Reader{db: db}
	closeAll := func() error { return errors.Join(w.close(), db.Close()) }
	id, err := w.prepare(ctx)
	if err != nil {
		return engine.Database{}, errors.Join(err, closeAll())
	}
	return engine.Database{
		ID: id, Reader: r, Writer: w, Close: closeAll, Abandon: closeAll,
		Snapshot: func(ctx context.Context) (engine.Snapshot, error) { return r.snapshot(ctx) },
	}, nil
}

// ReadID returns the id of a ledger that other processes may have open. It changes nothing.
// The id is empty if there is no ledger yet.
func ReadID(ctx context.Context, url string) (id string, err error) {
	config, err := parse(url)
	if err != nil {
		return "", err
	}
	db := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, db.Close()) }()
	var known bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass('identity') IS NOT NULL").Scan(&known); err != nil || !known {
		return "", err
	}
	err = db.QueryRowContext(ctx, "SELECT id FROM identity WHERE one = 1").Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// parse reads a URL. Its error does not repeat it: it may hold a password.
func parse(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("it is not a connection URL of PostgreSQL (postgres://USER:PASSWORD@HOST:PORT/DATABASE)")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectLimit
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "runnerbean"
	}
	return config, nil
}

// prepare makes or upgrades the tables, and returns the id of the ledger.
func (w *Writer) prepare(ctx context.Context) (id string, err error) {
	if err := w.db.QueryRowContext(ctx, "SELECT hashtextextended('runnerbean ledger ' || current_schema(), 0)").Scan(&w.key); err != nil {
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
	if id, err = migrate(ctx, tx); err != nil {
		return "", err
	}
	now, own := time.Now(), sqlite.NewID()
	if _, err := tx.ExecContext(ctx, "DELETE FROM writers WHERE at < $1", engine.Micros(now.Add(-forgetAfter))); err != nil {
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

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
