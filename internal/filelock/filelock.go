//go:build unix

// Package filelock takes exclusive flock(2) locks on open files and folders.
package filelock

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrHeld is wrapped by the error of a lock that somebody else holds.
var ErrHeld error = unix.EWOULDBLOCK

// Try takes the lock on f without waiting. A lock belongs to the open file, so a
// second os.File of the same path in the same process is refused, too. It ends
// with Unlock, when f is closed, or when the process ends.
func Try(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
}

// Lock tries again every so often until the deadline while somebody else holds
// the lock.
func Lock(f *os.File, deadline time.Time, every time.Duration) error {
	for {
		err := Try(f)
		if !errors.Is(err, ErrHeld) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(every)
	}
}

// Unlock gives the lock on f back. f stays open.
func Unlock(f *os.File) error {
	return os.NewSyscallError("flock", unix.Flock(int(f.Fd()), unix.LOCK_UN))
}
