package engine

import (
	"errors"
	"fmt"
)

var (
	// ErrTooBig is returned for a value that is larger than the ledger stores.
	ErrTooBig = errors.New("value is too big")
	// ErrChanged is returned if something has changed since the caller read it.
	ErrChanged = errors.New("was changed meanwhile")
	// ErrAway is wrapped by an Away.
	ErrAway = errors.New("the database of the ledger does not answer")
	// ErrNoRoom is the cause of an Away where the disk of the database is full.
	ErrNoRoom = errors.New("the disk of the ledger's database is full")
)

// Away is the error of a database that cannot be reached or that starts or stops. The same
// operation may succeed later.
type Away struct{ Cause error }

func (a *Away) Error() string { return a.Cause.Error() }

// Unwrap returns ErrAway and the cause.
func (a *Away) Unwrap() []error { return []error{ErrAway, a.Cause} }

// Wrap returns err with the name of the operation, or nil for nil.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger: %s: %w", op, err)
}
