package process

import (
	"context"
	"sync"
)

// Gate holds programs: while it is shut, those that run with it stand still and
// none is started. A gate that is nil is always open; all methods may be called
// at the same time.
type Gate struct {
	mu   sync.Mutex
	shut bool
	turn chan struct{} // closed at the next change
	pass map[*waker]struct{}
}

// NewGate makes a gate that is open.
func NewGate() *Gate {
	return &Gate{turn: make(chan struct{}), pass: map[*waker]struct{}{}}
}

// Set shuts or opens the gate and wakes all who have to do with it. It reports
// whether that was a change. What it means takes effect in a moment.
func (g *Gate) Set(shut bool) (changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == shut {
		return false
	}
	g.shut = shut
	close(g.turn)
	g.turn = make(chan struct{})
	for w := range g.pass {
		w.wake()
	}
	return true
}

// Shut reports whether the gate is shut.
func (g *Gate) Shut() bool {
	shut, _ := g.look()
	return shut
}

func (g *Gate) look() (shut bool, turn <-chan struct{}) {
	if g == nil {
		return false, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut, g.turn
}

// wait waits until the gate is open or one of the contexts, which may be nil,
// has ended.
func (g *Gate) wait(ctx, kill context.Context) {
	var killed <-chan struct{}
	if kill != nil {
		killed = kill.Done()
	}
	for {
		shut, turn := g.look()
		if !shut {
			return
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return
		case <-killed:
			return
		}
	}
}

// enter has w woken at every change until leave.
func (g *Gate) enter(w *waker) (leave func()) {
	if g == nil {
		return func() {}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass[w] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.pass, w)
	}
}
