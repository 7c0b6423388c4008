package worker

import (
	"context"
	"sync"
)

// brake keeps lanes from taking work while there is a reason for that.
type brake struct {
	mu     sync.Mutex
	reason string
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
	return b.reason == "", b.turn
}

// set returns the reason that there was before.
func (b *brake) set(reason string) (was string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, b.reason = b.reason, reason
	if (was == "") != (reason == "") {
		b.flip()
		b.turn, b.flip = context.WithCancel(context.Background())
	}
	return was
}
