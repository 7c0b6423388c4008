package queue

import "sync"

// held is the set of jobs that a connection holds.
type held struct {
	mu  sync.Mutex
	ids map[uint64]bool
}

func (h *held) add(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids == nil {
		h.ids = make(map[uint64]bool)
	}
	h.ids[id] = true
}

func (h *held) remove(id uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.ids, id)
}

func (h *held) has(id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ids[id]
}

func (h *held) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ids) == 0
}
