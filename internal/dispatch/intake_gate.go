package dispatch

import (
	"context"
	"sync"
	"time"
)

// Held is the error of a document that is not accepted now.
type Held struct{ Reason string }

func (h *Held) Error() string { return "no new jobs are accepted: " + h.Reason }

// Retry returns after what time it is worth trying again.
func (h *Held) Retry() time.Duration { return 30 * time.Second }

// intakeGate stops the intake of documents while it is closed.
type intakeGate struct {
	mu     sync.Mutex
	reason string
	open   context.Context    // ends when the gate closes
	shut   context.CancelFunc // ends open
	opened chan struct{}      // closed while the gate is open
}

func newIntakeGate() *intakeGate {
	g := &intakeGate{opened: make(chan struct{})}
	g.reopen()
	return g
}

func (g *intakeGate) reopen() {
	g.open, g.shut = context.WithCancel(context.Background())
	close(g.opened)
}

// set closes the gate for a reason, or opens it if there is none.
func (g *intakeGate) set(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.reason
	g.reason = reason
	switch {
	case was == "" && reason != "":
		g.shut()
		g.opened = make(chan struct{})
	case was != "" && reason == "":
		g.reopen()
	}
}

// err returns a *Held while the gate is closed.
func (g *intakeGate) err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == "" {
		return nil
	}
	return &Held{Reason: g.reason}
}

func (g *intakeGate) state() (open context.Context, opened chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open, g.opened
}

// enter waits until the gate is open. The context that it returns ends when the
// gate closes or ctx ends. The caller calls leave.
func (g *intakeGate) enter(ctx context.Context) (inside context.Context, leave context.CancelFunc) {
	for {
		open, opened := g.state()
		select {
		case <-opened:
			if open.Err() != nil && ctx.Err() == nil {
				continue // closed again at this moment
			}
		case <-ctx.Done():
		}
		inside, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(open, cancel)
		return inside, func() { stop(); cancel() }
	}
}
