package process

import (
	"sync"
	"time"
)

// Handle lets others look at a program while Run runs it. The zero value is
// ready for use, by one Run at a time; its methods may be called at any time.
type Handle struct {
	mu     sync.Mutex
	leader int // 0 while there is none
	cage   *cage
	still  bool
}

// Process is one process of a running program.
type Process struct {
	PID, Parent int
	// Name is what the process calls itself: any few bytes.
	Name string
	// CPU is the user and system time that it has used, Memory what of it is
	// resident, in bytes.
	CPU     time.Duration
	Memory  int64
	Started time.Time
	// Paused says that it is stopped, or frozen with all of its program.
	Paused bool
	// Key tells it from another one that has its number later.
	Key uint64
}

// set names the program that runs; 0 for none. Whoever looks meanwhile has it
// wait, so that no number passes to another process under their eyes.
func (h *Handle) set(leader int, c *cage) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leader, h.cage, h.still = leader, c, false
}

func (h *Handle) setStill(still bool) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.still = still
}
