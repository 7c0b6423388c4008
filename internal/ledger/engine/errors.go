package engine

import (
	"errors"
)

var (
	// ErrTooBig is returned for a value that is larger than the ledger keeps.
	ErrTooBig = errors.New("value is too big")
	// ErrChanged is returned where something is not any more as its changer has
	// seen it.
	ErrChanged = errors.New("was changed meanwhile")
)
