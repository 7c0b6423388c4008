// Package sqlite stores the ledger in an SQLite file. One connection writes, others
// read. Several processes may have the file open and take turns to write.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// DB is an open file.
type DB struct {
	ID     string // of the ledger, made with the file
	Reader *Reader
	Writer *Writer
}

// Open opens the file, creates it if needed, and migrates its schema. It returns
// ErrNewer if a newer version of the program has changed the schema. The caller closes
// the DB.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// SQLite gives its side files the mode of this file. Documents are private.
	f, err := os.OpenFile(abs, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	// The side files are beside the file itself, not beside a link to it.
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, err
	}
	db := &DB{}
	if err := retryBusy(ctx, func() error { return db.connect(ctx, abs, o) }); err != nil {
		return nil, err
	}
	if db.ID, err = readID(ctx, db.Reader); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) connect(ctx context.Context, path string, o Options) (err error) {
	if db.Writer, err = openWriter(ctx, path, o); err != nil {
		return err
	}
	if db.Reader, err = openReader(ctx, path); err != nil {
		return errors.Join(err, db.Writer.close())
	}
	return nil
}

// Close closes all connections. The last process that closes the file leaves everything
// in it, and no log.
func (db *DB) Close() error {
	return errors.Join(db.Reader.close(), db.Writer.empty(), db.Writer.close())
}

// Abandon closes all connections after a lost write. It leaves the log as it is, so that
// Open reads what the disk really holds. Some memory and files stay until the process
// ends.
func (db *DB) Abandon() error { return errors.Join(db.Reader.close(), db.Writer.abandon()) }

// openWriter opens the writing connection and migrates the schema.
func openWriter(ctx context.Context, path string, o Options) (*Writer, error) {
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)",
		"foreign_keys(1)", "wal_autocheckpoint(0)", "journal_size_limit(67108864)", "cache_size(-4096)", "temp_store(MEMORY)"))
	if err != nil {
		return nil, err
	}
	w := &Writer{db: db, stmts: make([]*sql.Stmt, len(engine.Queries)), SyncLog: datasync, Patience: busyLimit}
	if err := w.connect(ctx, path, o); err != nil {
		return nil, errors.Join(err, w.abortOpen())
	}
	return w, nil
}

func (w *Writer) connect(ctx context.Context, path string, o Options) (err error) {
	w.db.SetMaxOpenConns(1)
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, w.conn, o); err != nil {
		return err
	}
	// The log of an earlier process goes to the file and is synced there. After a failed
	// sync, nothing may rely on the pages of the log.
	if _, _, err := w.runCheckpoint(qCheckpoint); err != nil {
		return err
	}
	// From here on Begin waits for other processes, because it notices sooner.
	if _, err := w.conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	// The log exists since migrate and stays while a connection is open.
	if w.wal, err = os.OpenFile(path+"-wal", os.O_RDWR, 0); err != nil {
		return err
	}
	if w.lock, err = openWriteLock(path + "-turn"); err != nil {
		err = errors.Join(err, w.wal.Close())
	}
	return err
}

// abortOpen closes what connect opened before it failed.
func (w *Writer) abortOpen() error {
	err := closeStatements(w.stmts)
	if w.conn != nil {
		err = errors.Join(err, w.conn.Close())
	}
	return errors.Join(err, w.db.Close())
}
