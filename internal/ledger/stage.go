package ledger

import "sync/atomic"

// stage decides between a writer that begins an operation and a caller that
// gives it up: only one of the two succeeds.
type stage struct{ v atomic.Int32 }

func (s *stage) start() bool   { return s.v.CompareAndSwap(0, 1) }
func (s *stage) abandon() bool { return s.v.CompareAndSwap(0, 2) }
