package sqlite

import (
	"os"
	"time"

	"github.com/runnerbean/runnerbean/internal/filelock"
)

// writeLock is a file lock that a process holds while it waits for its transaction to
// begin. Without it a busy process begins the next transaction in the same microsecond
// in which its last one ends, and the others never get a turn.
type writeLock struct{ f *os.File }

func openWriteLock(path string) (*writeLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &writeLock{f: f}, nil
}

// take waits until the deadline only. This lock is for fairness; SQLite's own lock
// protects the file.
func (l *writeLock) take(deadline time.Time) {
	_ = filelock.Lock(l.f, deadline, 200*time.Microsecond)
}

func (l *writeLock) give() { _ = filelock.Unlock(l.f) }

func (l *writeLock) close() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}
