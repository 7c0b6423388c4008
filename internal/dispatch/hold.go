package dispatch

import (
	"context"
	"sync"
	"time"
)

// Held is why a document is not accepted now.
type Held struct{ Reason string }

func (h *Held) Error() string { return "no new jobs are accepted: " + h.Reason }

// Retry is after what time it is worth trying again.
func (h *Held) Retry() time.Duration { return 30 * time.Second }

// hold is a door that can be shut.
type hold struct {
	mu     sync.Mutex
	reason string
	inside context.Context    // ends when the door is shut
	shut   context.CancelFunc // ends inside
	opened chan struct{}      // closed when the door is open
}

func newHold() *hold {
	h := &hold{opened: make(chan struct{})}
	h.open()
	return h
}

func (h *hold) open() {
	h.inside, h.shut = context.WithCancel(context.Background())
	close(h.opened)
}

// set shuts the door for a reason, or opens it where there is none.
func (h *hold) set(reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.reason
	h.reason = reason
	switch {
	case was == "" && reason != "":
		h.shut()
		h.opened = make(chan struct{})
	case was != "" && reason == "":
		h.open()
	}
}

func (h *hold) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reason == "" {
		return nil
	}
	return &Held{Reason: h.reason}
}

func (h *hold) now() (inside context.Context, opened chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inside, h.opened
}

// enter waits until the door is open. The context that it returns ends when the
// door is shut, or with ctx; the caller calls leave.
func (h *hold) enter(ctx context.Context) (inside context.Context, leave context.CancelFunc) {
	for {
		room, opened := h.now()
		select {
		case <-opened:
			if room.Err() != nil && ctx.Err() == nil {
				continue // shut again at this moment
			}
		case <-ctx.Done():
		}
		inside, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(room, cancel)
		return inside, func() { stop(); cancel() }
	}
}
