package worker

import (
	"context"
	"sync"
)

// brake keeps lanes from taking work while there is a reason for that.
type brake struct {
	mu           sync.Mutex
	held, paused string // reasons
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

func (b *brake) free() bool { return b.held == "" && b.paused == "" }

// set changes one of the brake's reasons, and returns what it was before.
func (b *brake) set(which *string, reason string) (was string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	free := b.free()
	was, *which = *which, reason
	if b.free() != free {
		b.flip()
		b.turn, b.flip = context.WithCancel(context.Background())
	}
	return was
}
