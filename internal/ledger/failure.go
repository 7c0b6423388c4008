package ledger

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrReopen is returned for every write after the disk has failed one. The
// kernel tells of a write that it lost once: a sync that succeeds after a failed
// one proves nothing, and what is written after lost pages may be lost with
// them. Open reads again what the file really holds.
var ErrReopen = errors.New("the disk has failed the ledger: it takes nothing more until it is opened again")

// failure is why a ledger takes nothing more.
type failure struct {
	once   sync.Once
	failed chan struct{} // closed once err is set
	err    error
}

// Failed is closed when the disk has failed the ledger, which then takes nothing
// more until it is opened again. Err says why.
func (l *Ledger) Failed() <-chan struct{} { return l.failure.failed }

// Err is an ErrReopen that says why the ledger takes nothing more; nil while it
// does.
func (l *Ledger) Err() error {
	select {
	case <-l.failure.failed:
		return l.failure.err
	default:
		return nil
	}
}

// fail has all further writes refused, and returns the error for those that it
// hit. The first cause stands.
func (l *Ledger) fail(what string, err error) error {
	l.failure.once.Do(func() {
		l.failure.err = fmt.Errorf("%w: %s: %w", ErrReopen, what, err)
		l.log.Error("the disk has failed the ledger; it takes nothing more until it is opened again", "what", what, "err", err)
		close(l.failure.failed)
	})
	return l.failure.err
}

// lostWrites are the codes of SQLite for a write that the kernel may have lost. A
// full disk is none of them: SQLite undoes what does not fit and can go on, as it
// can after a read, a lock or an allocation that failed.
var lostWrites = []int{
	sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC,
	sqlite3.SQLITE_IOERR_TRUNCATE, sqlite3.SQLITE_IOERR_CLOSE,
}

func isLostWrite(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && slices.Contains(lostWrites, e.Code())
}
