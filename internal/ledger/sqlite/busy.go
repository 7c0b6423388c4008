package sqlite

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const busyLimit = 10 * time.Second // for another process that writes

// IsBusy reports whether another process holds a lock of the file.
func IsBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

// retryBusy calls try again while other processes lock the file because they open or
// close it. SQLite's busy timeout does not cover these locks.
func retryBusy(ctx context.Context, try func() error) error {
	for deadline := time.Now().Add(busyLimit); ; {
		err := try()
		if err == nil || !IsBusy(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(rand.N(20 * time.Millisecond)):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// lostWrites are the codes of SQLite for writes that the kernel may have lost. A full
// disk is not among them: SQLite undoes what does not fit and goes on. The same holds
// for reads, locks and allocations that fail.
var lostWrites = []int{
	sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC,
	sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_CLOSE,
}

// isLostWrite reports whether the kernel may have lost a write of the file.
func isLostWrite(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && slices.Contains(lostWrites, e.Code())
}
