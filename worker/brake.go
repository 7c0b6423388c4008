package worker

import (
	"context"
	"sync"
)

// brake keeps lanes from taking work while there is a reason for that.
type brake struct {
	mu           sync.Mutex
	held, paused string // reasons
	alone        string // the job that runs with nothing beside it, or is about to
	// turn ends when a reason comes or goes.
	turn context.Context
	flip context.CancelFunc
}

func newBrake() *brake {
	b := &brake{}
	b.turn, b.flip = context.WithCancel(context.Background())
	return b
}

// look reports whether work may be taken, and what ends when that changes.
func (b *brake) look() (free bool, turn context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free(), b.turn
}

func (b *brake) free() bool { return !b.shut() && b.alone == "" }

// shut is for all work; a job that runs alone is kept from it by nothing else.
func (b *brake) shut() bool { return b.held != "" || b.paused != "" }

// stopped reports whether not even a job that runs alone may be taken, and what
// ends when that may have changed.
func (b *brake) stopped() (stopped bool, turn context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.shut(), b.turn
}

// set changes one of the brake's reasons, and returns what it was before.
func (b *brake) set(which *string, reason string) (was string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	free, shut := b.free(), b.shut()
	was, *which = *which, reason
	if b.free() != free || b.shut() != shut {
		b.flip()
		b.turn, b.flip = context.WithCancel(context.Background())
	}
	return was
}
