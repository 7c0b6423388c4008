package process

import (
	"context"
	"sync"
)

// PauseGate pauses programs. While it is closed, programs that run with it are
// stopped and none is started. A nil gate is always open. All methods are safe
// for concurrent use.
type PauseGate struct {
	mu      sync.Mutex
	closed  bool
	changed chan struct{} // closed at the next change
	running map[*waker]struct{}
}

// NewPauseGate returns an open gate.
func NewPauseGate() *PauseGate {
	return &PauseGate{changed: make(chan struct{}), running: map[*waker]struct{}{}}
}

// Set closes or opens the gate. It reports whether that was a change, and does
// not wait until the programs have stopped or continued.
func (g *PauseGate) Set(closed bool) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed == closed {
		return false
	}
	g.closed = closed
	close(g.changed)
	g.changed = make(chan struct{})
	for w := range g.running {
		w.wake()
	}
	return true
}

// Closed reports whether the gate is closed.
func (g *PauseGate) Closed() bool {
	closed, _ := g.state()
	return closed
}

func (g *PauseGate) state() (closed bool, changed <-chan struct{}) {
	if g == nil {
		return false, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed, g.changed
}

// wait returns when the gate is open or one of the contexts has ended. The
// context kill may be nil.
func (g *PauseGate) wait(ctx, kill context.Context) {
	var killed <-chan struct{}
	if kill != nil {
		killed = kill.Done()
	}
	for {
		closed, changed := g.state()
		if !closed {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-killed:
			return
		}
	}
}

// enter wakes w at every change until leave is called.
func (g *PauseGate) enter(w *waker) (leave func()) {
	if g == nil {
		return func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running[w] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.running, w)
	}
}
