package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// BackupPath returns the name of the copy that is made of a ledger before it is upgraded
// from a version of the schema.
func BackupPath(path string, version int) string { return fmt.Sprintf("%s.schema-%d", path, version) }

// backupBefore copies a ledger to BackupPath and replaces an older copy. The caller holds
// the write lock and has changed nothing, so that the copy has all that was committed.
func backupBefore(ctx context.Context, path string, version int) (err error) {
	name := BackupPath(path, version)
	part := name + ".part"
	defer func() {
		if err != nil {
			_ = os.Remove(part)
			err = fmt.Errorf("the copy %s cannot be made, and nothing was upgraded: %w; make room for it (the ledger has %d MiB)", name, err, size(path)>>20)
		}
	}()
	if err := vacuumInto(ctx, path, part); err != nil {
		return err
	}
	if err := syncFile(part); err != nil {
		return err
	}
	if err := os.Rename(part, name); err != nil {
		return err
	}
	return syncFile(filepath.Dir(name))
}

// vacuumInto copies what is committed to a new file that only its owner can read. A
// process that was killed may have left a part of it.
func vacuumInto(ctx context.Context, path, to string) (err error) {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(5000)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

// syncFile writes a file or a folder to the disk.
func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// size returns the size of a ledger with its log, in bytes.
func size(path string) (total int64) {
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			total += info.Size()
		}
	}
	return total
}
