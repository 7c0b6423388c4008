package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/storepair"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/version"
	"github.com/runnerbean/runnerbean/internal/filelock"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
	"github.com/runnerbean/runnerbean/internal/store"
)

// Options of a backup.
type Options struct {
	Settings settings.Settings
	// File is the archive to write. If it is empty, the archive goes to Out.
	File string
	Out  io.Writer
	// KeysFile gets the keys and secrets of the pool. If it is empty, they are in no file.
	KeysFile string
	Progress Progress // required
}

// Write writes an archive of the ledger and the store. Nodes may run. The file has its
// name only when it is complete and on the disk; it replaces an older one. If results
// were missing from the store, Summary.Missing says so, and the archive has all others.
func Write(ctx context.Context, o Options) (Summary, error) {
	if err := needsFile(o.Settings); err != nil {
		return Summary{}, err
	}
	pair, err := storepair.Look(ctx, o.Settings)
	if err == nil {
		err = pair.Fault()
	}
	if err == nil && pair.Ledger.ID == "" {
		err = fmt.Errorf("there is no ledger of this version at %s: start a node first", o.Settings.LedgerPath())
	}
	if err != nil {
		return Summary{}, err
	}
	objects, err := store.Open(ctx, o.Settings.Store)
	if err != nil {
		return Summary{}, err
	}
	defer objects.Close()
	live, err := sqlite.OpenLive(o.Settings.LedgerPath())
	if err != nil {
		return Summary{}, err
	}
	defer live.Close()
	w := &writer{ctx: ctx, store: objects, live: live, progress: o.Progress.Set}
	w.summary.Manifest = Manifest{
		Format: format, Ledger: pair.Ledger.ID, Store: pair.Ledger.Store, Schema: pair.Ledger.Schema,
		Time: time.Now().UTC(), Version: version.Get().Version,
	}
	if o.File == "" {
		err = o.stream(w)
	} else {
		err = o.file(w)
	}
	return w.summary, err
}

// needsFile refuses a ledger in PostgreSQL.
func needsFile(set settings.Settings) error {
	if set.LedgerPath() != "" {
		return nil
	}
	return errors.New("RUNNERBEAN_LEDGER is in PostgreSQL, and archives are of ledgers in files: save the database by pg_dump or pg_basebackup first and then the store; see \"PostgreSQL\" in docs/operations.md")
}

// file writes the archive beside its place, and moves it there.
func (o *Options) file(w *writer) (err error) {
	part, err := openPartial(o.File)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
		_ = part.Close() // with the lock
	}()
	copied := part.Name() + ".db"
	defer os.Remove(copied)
	if err := o.archive(w, part, copied); err != nil {
		return err
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), o.File); err != nil {
		return err
	}
	return syncFolder(o.File)
}

// openPartial opens the file that becomes the archive. A lock that ends with the process
// keeps a second backup away.
func openPartial(file string) (*os.File, error) {
	part, err := os.OpenFile(file+partial, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err = filelock.Try(part); err == nil {
		err = part.Truncate(0)
	}
	if errors.Is(err, filelock.ErrHeld) {
		err = fmt.Errorf("another backup writes %s", file)
	}
	if err != nil {
		return nil, errors.Join(err, part.Close())
	}
	return part, nil
}

// stream writes the archive to Out. The copy of the ledger is in a temporary folder.
func (o *Options) stream(w *writer) (err error) {
	folder, err := os.MkdirTemp("", "runnerbean-backup-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	return o.archive(w, o.Out, filepath.Join(folder, ledgerName))
}

func (o *Options) archive(w *writer, out io.Writer, copied string) error {
	secrets, err := sqlite.CopyTo(w.ctx, o.Settings.LedgerPath(), copied)
	if err != nil {
		return fmt.Errorf("the ledger cannot be copied to %s: %w", copied, err)
	}
	// The copy is newer than what was looked at, and may be of another schema.
	now, err := sqlite.Peek(w.ctx, copied)
	if err != nil {
		return err
	}
	w.summary.Store, w.summary.Schema, w.summary.Time = now.Store, now.Schema, time.Now().UTC()
	db, err := sqlite.OpenCopy(copied)
	if err != nil {
		return err
	}
	total, err := db.Count(w.ctx)
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	o.Progress.Begin(total)
	if err := w.write(out, copied); err != nil {
		return err
	}
	if o.KeysFile == "" {
		return nil
	}
	return writeKeys(o.Settings, o.KeysFile, w.summary.Ledger, secrets)
}
