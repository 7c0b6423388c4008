// Package retry computes and waits out the time between two tries.
package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is an exponential backoff: the wait doubles with each failure, from
// Base up to Max.
type Backoff struct {
	Base, Max time.Duration
	// Jitter returns a number in [0, 1]. Default rand.Float64.
	Jitter func() float64
}

// Full returns the wait after the nth failure in a row, from 1, without jitter.
func (b Backoff) Full(n int) time.Duration {
	d := b.Base
	for ; n > 1 && d < b.Max; n-- {
		d *= 2
	}
	return min(d, b.Max)
}

// Wait returns the wait after the nth failure in a row, from 1. Jitter makes it
// between half of Full and all of it, so that clients that failed together do
// not come back together.
func (b Backoff) Wait(n int) time.Duration {
	jitter := b.Jitter
	if jitter == nil {
		jitter = rand.Float64
	}
	half := b.Full(n) / 2
	return half + time.Duration(jitter()*float64(half))
}

// Sleep waits for d or until ctx ends. It reports whether d passed.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
