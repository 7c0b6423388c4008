//go:build unix

package store

import (
	"errors"

	"golang.org/x/sys/unix"
)

// noRoom reports whether err means that no space is left. A limit on file size counts,
// because it prevents the write too.
func noRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
