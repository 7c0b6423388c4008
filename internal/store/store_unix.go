//go:build linux || darwin

package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Free is how many bytes an ordinary user may still write to the store's file
// system.
func (s *Store) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.top.Fd()), &st); err != nil {
		return 0, fmt.Errorf("store: free space: %w", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// noRoom reports errors for want of space. A limit on the size of files is one
// of them: the object cannot be written either.
func noRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// tryLock locks an open file or folder until it is closed or the process ends.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch err {
		case nil:
			return true, nil
		case unix.EINTR:
			continue
		case unix.EWOULDBLOCK:
			return false, nil
		}
		return false, os.NewSyscallError("flock", err)
	}
}
