//go:build unix

package store

import (
	"errors"

	"golang.org/x/sys/unix"
)

// noRoom reports errors for want of space. A limit on the size of files is one
// of them: the object cannot be written either.
func noRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
