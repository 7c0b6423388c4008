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
)

// Wrap returns err with the name of the operation, or nil for nil.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger: %s: %w", op, err)
}
