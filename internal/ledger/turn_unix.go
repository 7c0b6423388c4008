//go:build unix

package ledger

import (
	"os"
	"syscall"
	"time"
)

// turn is a file lock that a process holds while it waits for its transaction
// to begin. Without it a busy process begins its next transaction in the same
// microsecond in which its last one ended, and others never get one.
type turn struct{ f *os.File }

func openTurn(path string) (*turn, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &turn{f: f}, nil
}

// take waits until the deadline only: the turn is for fairness, SQLite's own
// lock is what protects.
func (t *turn) take(deadline time.Time) {
	for syscall.Flock(int(t.f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		if time.Now().After(deadline) {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

func (t *turn) give() { _ = syscall.Flock(int(t.f.Fd()), syscall.LOCK_UN) }

func (t *turn) close() error {
	if t == nil {
		return nil
	}
	return t.f.Close()
}
