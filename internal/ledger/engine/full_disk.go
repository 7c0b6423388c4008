package engine

import (
	"errors"
	"sync/atomic"
	"time"
)

// fullFor is how long a write that had no room counts. A node writes every few seconds, and
// small writes find room in pages that exist while others do not.
const fullFor = 30 * time.Second

// FullDisk knows the last write for which the disk of the database had no room. A ledger in a
// file is on a disk that the node watches.
type FullDisk struct{ last atomic.Pointer[fullError] }

type fullError struct {
	error
	at time.Time // by this process; it has the monotonic clock
}

// Note takes the error of a write, which may be nil.
func (d *FullDisk) Note(err error) {
	if errors.Is(err, ErrNoRoom) {
		d.last.Store(&fullError{err, time.Now()})
	}
}

// Err returns why a write of the last 30 s had no room, or nil.
func (d *FullDisk) Err() error {
	if last := d.last.Load(); last != nil && time.Since(last.at) < fullFor {
		return last.error
	}
	return nil
}
