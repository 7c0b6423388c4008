package ledger

import "sync/atomic"

// stage decides between a writer that begins an operation and a caller that
// gives it up: only one of the two succeeds.
type stage struct{ v atomic.Int32 }

const (
	begun     = 1
	abandoned = 2
)

// start reports whether the operation may run, for the first time or again.
func (s *stage) start() bool { return s.v.CompareAndSwap(0, begun) || s.v.Load() == begun }

func (s *stage) abandon() bool { return s.v.CompareAndSwap(0, abandoned) }
