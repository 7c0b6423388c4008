// Package retention deletes jobs that have ended: it finds those that are due, deletes
// their rows, remembers their ids, and names the objects that are still to be removed
// from the store.
package retention

import (
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

var (
	// ErrDeleted is wrapped by every *Deleted.
	ErrDeleted = errors.New("the job was deleted")
	// ErrNeeded is returned for a job that jobs wait for.
	ErrNeeded = errors.New("other jobs still wait for its end")
	// ErrBatch is returned for a frame of a batch that has not ended.
	ErrBatch = errors.New("its batch has not ended")
	// ErrSending is returned for a job whose webhook or delivery is still to be sent.
	ErrSending = errors.New("its webhook or its delivery has not been sent yet")
)

// Deleted is a job that was deleted. It is an error, which wraps ErrDeleted.
type Deleted struct {
	ID, Program string
	State       jobs.State // at its end
	At          time.Time  // of the deletion
}

func (d *Deleted) Error() string {
	return fmt.Sprintf("the job was deleted at %s; its state was %s", d.At.Format(time.RFC3339), d.State)
}

// Unwrap returns ErrDeleted.
func (d *Deleted) Unwrap() error { return ErrDeleted }

// Retention is the deleted jobs of a ledger, and those that are to be deleted.
type Retention struct{ ledger engine.Access }

// New returns the retention of a ledger.
func New(ledger engine.Access) *Retention { return &Retention{ledger} }
