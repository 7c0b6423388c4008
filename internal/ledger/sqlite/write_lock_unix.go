//go:build unix

package sqlite

import (
	"os"
	"syscall"
	"time"
)

// writeLock is a file lock that a process holds while it waits for its transaction
// to begin. Without it a busy process begins its next transaction in the same
// microsecond in which its last one ended, and others never get one.
type writeLock struct{ f *os.File }

func openWriteLock(path string) (*writeLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &writeLock{f: f}, nil
}

// take waits until the deadline only: the writeLock is for fairness, SQLite's own
// lock is what protects.
func (l *writeLock) take(deadline time.Time) {
	for syscall.Flock(int(l.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		if time.Now().After(deadline) {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (l *writeLock) give() { _ = syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN) }

func (l *writeLock) close() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}
