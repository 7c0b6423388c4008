package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// ErrReopen is returned for every write after the disk has failed one, or after a newer
// program has upgraded the ledger. The kernel reports a lost write only once. A later sync
// that succeeds proves nothing, and writes after lost pages may be lost too. Open reads
// what the file really holds.
var ErrReopen = errors.New("the ledger takes nothing more until it is opened again")

// failure records why a ledger takes no more writes.
type failure struct {
	log    *slog.Logger
	once   sync.Once
	failed chan struct{} // closed once err is set
	err    error
}

func newFailure(log *slog.Logger) *failure {
	return &failure{failed: make(chan struct{}), log: log}
}

// Err returns an ErrReopen that says why the ledger takes no more writes, or nil.
func (f *failure) Err() error {
	select {
	case <-f.failed:
		return f.err
	default:
		return nil
	}
}

// fail makes all further writes fail, and returns their error. The first cause is kept.
func (f *failure) fail(what string, err error) error {
	f.once.Do(func() {
		cause := "the disk has failed it"
		if errors.Is(err, ErrNewer) {
			cause = "it was upgraded"
		}
		f.err = fmt.Errorf("%w, because %s: %s: %w", ErrReopen, cause, what, err)
		f.log.Error("the ledger takes nothing more until it is opened again, because "+cause, "what", what, "err", err)
		close(f.failed)
	})
	return f.err
}
