package process

import (
	"sync"
	"time"
)

// Handle lists the processes of a program while Run runs it. The zero value is
// ready for use, by one Run at a time. Its methods are safe for concurrent use.
type Handle struct {
	mu      sync.Mutex
	running *descendants // nil while no program runs
	paused  bool
}

// Process is one process of a running program.
type Process struct {
	PID, Parent int
	// Name is what the process calls itself. It may be any few bytes.
	Name string
	// CPU is the user and system time used by the process.
	CPU time.Duration
	// Memory is the resident memory in bytes.
	Memory  int64
	Started time.Time
	// Paused says that the process is stopped, or frozen with the whole program.
	Paused bool
	// Key differs between two processes that have the same number one after the
	// other.
	Key uint64
}

// set names the running program, or nil for none. It waits for Processes, which
// so never sees a number that was given to another process.
func (h *Handle) set(running *descendants) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running, h.paused = running, false
}

// Running reports whether a program runs.
func (h *Handle) Running() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running != nil
}

func (h *Handle) setPaused(paused bool) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.paused = paused
}
