package ledger

import "sync/atomic"

// op is one operation on its way through the writer. run may be called again
// after a rollback and then starts from nothing.
type op struct {
	name   string // for Config.Observe
	run    func(*txn) error
	soft   bool
	weight int
	state  opState
	early  bool // is answered before it is on the disk, where it is brought at once
	hard   bool // wrote something that must be on the disk
	err    error
	done   chan struct{} // closed when it is answered
}

// opState decides between a writer that begins an operation and a caller that
// gives it up: only one of the two succeeds.
type opState struct{ v atomic.Int32 }

const (
	begun     = 1
	abandoned = 2
)

// start reports whether the operation may run, for the first time or again.
func (s *opState) start() bool { return s.v.CompareAndSwap(0, begun) || s.v.Load() == begun }

func (s *opState) abandon() bool { return s.v.CompareAndSwap(0, abandoned) }
