package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/ledger/sqlite"
)

var (
	// ErrUnknown is returned for an id that the ledger does not hold.
	ErrUnknown = errors.New("no such job")
	// ErrStale is returned for an attempt that is not the newest of its job, or whose
	// job does not run.
	ErrStale = errors.New("stale attempt")
	// ErrFinal is returned for a job that has ended.
	ErrFinal = errors.New("job is final")
	// ErrConflict is returned for an id that is known with another document.
	ErrConflict = errors.New("id is known with another document")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("ledger is closed")
)

// Errors of Open about the version of the schema. ErrNewer is also the cause of
// [Ledger.Err] if the ledger was upgraded while it was open.
var (
	ErrNewer     = sqlite.ErrNewer
	ErrNodes     = sqlite.ErrNodes
	ErrUpgrading = sqlite.ErrUpgrading
)

// unknown returns the error for an id that the ledger does not hold.
func unknown(ctx context.Context, r *retention.Retention, id string) error {
	d, err := r.Find(ctx, id)
	if err != nil {
		return err
	}
	return unknownOr(d)
}

// unknownOr returns ErrUnknown, with d if the job was deleted.
func unknownOr(d *retention.Deleted) error {
	if d == nil {
		return ErrUnknown
	}
	return fmt.Errorf("%w: %w", ErrUnknown, d)
}
