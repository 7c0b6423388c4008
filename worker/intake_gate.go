package worker

import (
	"context"
	"sync"
)

// intakeGate keeps executors from taking work while there is a reason for that.
type intakeGate struct {
	mu           sync.Mutex
	held, paused string // reasons
	alone        string // the job in quarantine that runs alone, or is about to
	trouble      bool   // one executor at a time tries a job
	// change ends when a reason comes or goes.
	change context.Context
	end    context.CancelFunc
}

func newIntakeGate() *intakeGate {
	g := &intakeGate{}
	g.change, g.end = context.WithCancel(context.Background())
	return g
}

// open reports whether work may be taken. change ends when that may have changed.
func (g *intakeGate) open() (open bool, change context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.free(), g.change
}

// closed reports whether not even a job in quarantine may be taken. change ends when
// that may have changed.
func (g *intakeGate) closed() (closed bool, change context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut(), g.change
}

func (g *intakeGate) free() bool { return !g.shut() && g.alone == "" }
func (g *intakeGate) shut() bool { return g.held != "" || g.paused != "" }

// hold sets the reason of Worker.Hold and returns the one before.
func (g *intakeGate) hold(reason string) (before string) { return g.set(&g.held, reason) }

// pause sets the reason of Worker.Pause.
func (g *intakeGate) pause(reason string) { g.set(&g.paused, reason) }

// reserve keeps the node free for one job in quarantine. An empty id ends that.
func (g *intakeGate) reserve(job string) { g.set(&g.alone, job) }

// inTrouble makes executors look at the trouble of the node.
func (g *intakeGate) inTrouble(in bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.trouble != in {
		g.trouble = in
		g.changed()
	}
}

// troubled reports whether one executor at a time may try a job.
func (g *intakeGate) troubled() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.trouble
}

// changed tells executors to look again. The caller holds the lock.
func (g *intakeGate) changed() {
	g.end()
	g.change, g.end = context.WithCancel(context.Background())
}

func (g *intakeGate) set(which *string, reason string) (before string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	free, shut := g.free(), g.shut()
	before, *which = *which, reason
	if g.free() != free || g.shut() != shut {
		g.changed()
	}
	return before
}
