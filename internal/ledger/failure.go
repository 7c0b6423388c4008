package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// ErrReopen is returned for every write after the disk has failed one. The
// kernel tells of a write that it lost once: a sync that succeeds after a failed
// one proves nothing, and what is written after lost pages may be lost with
// them. Open reads again what the file really holds.
var ErrReopen = errors.New("the disk has failed the ledger: it takes nothing more until it is opened again")

// failure is why a ledger takes nothing more.
type failure struct {
	log    *slog.Logger
	once   sync.Once
	failed chan struct{} // closed once err is set
	err    error
}

func newFailure(log *slog.Logger) *failure {
	return &failure{failed: make(chan struct{}), log: log}
}

// Err is an ErrReopen that says why the ledger takes nothing more; nil while it
// does.
func (f *failure) Err() error {
	select {
	case <-f.failed:
		return f.err
	default:
		return nil
	}
}

// fail has all further writes refused, and returns the error for those that it
// hit. The first cause stands.
func (f *failure) fail(what string, err error) error {
	f.once.Do(func() {
		f.err = fmt.Errorf("%w: %s: %w", ErrReopen, what, err)
		f.log.Error("the disk has failed the ledger; it takes nothing more until it is opened again", "what", what, "err", err)
		close(f.failed)
	})
	return f.err
}
