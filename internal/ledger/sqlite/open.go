// Package sqlite stores the ledger in an SQLite file. One connection writes, others
// read. Several processes may have the file open and take turns to write.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// DB is an open file.
type DB struct {
	ID     string // of the ledger, made with the file
	Reader *Reader
	Writer *Writer
	// Upgraded is what Open has upgraded, or nil.
	Upgraded *Upgraded
}

// Options say how a file is opened.
type Options struct {
	Upgrade Upgrade

	schema schema // tests change it; default present
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
}

// Open opens the file, creates it if needed, and upgrades its schema: it waits for nodes
// that use the file and leave, and copies the file to BackupPath first. It returns
// ErrNewer, ErrNodes or ErrUpgrading. The caller closes the DB.
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
	if db.Writer, db.Upgraded, err = openWriter(ctx, path, o); err != nil {
		return err
	}
	if db.Reader, err = openReader(ctx, path); err != nil {
		return errors.Join(err, db.Writer.close())
	}
	return nil
}

// Engine returns the open file as the ledger uses it.
func (db *DB) Engine() engine.Database {
	return engine.Database{
		ID: db.ID, Reader: db.Reader, Writer: db.Writer, Close: db.Close, Abandon: db.Abandon,
		Snapshot: func(ctx context.Context) (engine.Snapshot, error) { return db.Reader.Snapshot(ctx) },
	}
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

// openWriter opens the writing connection and upgrades the schema.
func openWriter(ctx context.Context, path string, o Options) (*Writer, *Upgraded, error) {
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)",
		"foreign_keys(1)", "wal_autocheckpoint(0)", fmt.Sprintf("journal_size_limit(%d)", longLog*pageSize), "cache_size(-4096)", "temp_store(MEMORY)"))
	if err != nil {
		return nil, nil, err
	}
	if o.schema == nil {
		o.schema, o.now, o.sleep = present, time.Now, pause
	}
	w := &Writer{db: db, stmts: make([]*sql.Stmt, len(engine.Queries)), SyncLog: datasync, Patience: busyLimit, schema: o.schema}
	done, err := w.connect(ctx, path, o)
	if err != nil {
		return nil, nil, errors.Join(err, w.abortOpen())
	}
	return w, done, nil
}

func (w *Writer) connect(ctx context.Context, path string, o Options) (done *Upgraded, err error) {
	w.db.SetMaxOpenConns(1)
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return nil, err
	}
	u := upgrader{Upgrade: o.Upgrade, conn: w.conn, path: path, schema: o.schema, now: o.now, sleep: o.sleep}
	if done, err = u.run(ctx); err != nil {
		return nil, err
	}
	return done, w.openFiles(ctx, path)
}

// openFiles makes the connection ready for transactions.
func (w *Writer) openFiles(ctx context.Context, path string) (err error) {
	// The log of an earlier process goes to the file and is synced there. After a failed
	// sync, nothing may rely on the pages of the log.
	if _, _, err := w.runCheckpoint(qCheckpoint); err != nil {
		return err
	}
	// From here on Begin waits for other processes, because it notices sooner.
	if _, err := w.conn.ExecContext(ctx, "PRAGMA busy_timeout = 0"); err != nil {
		return err
	}
	// The log exists since run and stays while a connection is open.
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

// pause waits for a time or the end of ctx, and returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
