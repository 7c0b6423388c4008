package engine

import (
	"errors"
)

var (
	// ErrTooBig is returned for a value that is larger than the ledger stores.
	ErrTooBig = errors.New("value is too big")
	// ErrChanged is returned if something has changed since the caller read it.
	ErrChanged = errors.New("was changed meanwhile")
)
