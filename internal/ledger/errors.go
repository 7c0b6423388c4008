package ledger

import (
	"errors"
)

var (
	// ErrUnknown is returned for an id that the ledger does not hold.
	ErrUnknown = errors.New("no such job")
	// ErrStale is returned to an attempt that is no longer the job's newest, or
	// whose job does not run any more.
	ErrStale = errors.New("stale attempt")
	// ErrFinal is returned where a job has already come to its end.
	ErrFinal = errors.New("job is final")
	// ErrConflict is returned for an id that is known with another document.
	ErrConflict = errors.New("id is known with another document")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("ledger is closed")
)
