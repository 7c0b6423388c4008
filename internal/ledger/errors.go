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
	// ErrConflict is returned for an id that is known with another document. See Conflict.
	ErrConflict = errors.New("the id is known with another document")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("ledger is closed")
)

// Conflict is the ErrConflict of a document that asks for another job than the first one
// of its id.
type Conflict struct {
	// Pointer is the JSON pointer of the first difference. It is empty if one of the two
	// documents has a fault.
	Pointer string
}

// Error says where the documents differ, and repeats no value.
func (c *Conflict) Error() string {
	if c.Pointer == "" {
		return ErrConflict.Error()
	}
	return ErrConflict.Error() + ", which differs at " + c.Pointer
}

// Unwrap returns ErrConflict.
func (c *Conflict) Unwrap() error { return ErrConflict }

// event is the message of the event.
func (c *Conflict) event() string {
	if c.Pointer == "" {
		return "another document came under this id; the first one stands"
	}
	return "another document came under this id, which differs at " + c.Pointer + "; the first one stands"
}

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
