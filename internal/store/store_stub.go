//go:build !linux && !darwin

package store

import (
	"errors"
	"fmt"
	"os"
)

// Free is not known here.
func (s *Store) Free() (int64, error) {
	return 0, fmt.Errorf("store: free space: %w", errors.ErrUnsupported)
}

func noRoom(error) bool { return false }

// tryLock never succeeds on what it did not lock: without locks nothing is swept.
func tryLock(*os.File) (bool, error) { return false, errors.ErrUnsupported }
