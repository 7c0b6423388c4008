package queue

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
)

// probes is how often a server that failed is tried while others work.
var probes = retry.Backoff{Base: 250 * time.Millisecond, Max: 10 * time.Second}

// breaker remembers the failures of one server, so that callers go to another server and
// do not wait for this one again and again.
type breaker struct {
	failures int   // in a row
	err      error // of the last one
	probeAt  time.Time
	// restUntil is when a caller who has no other server may try this one.
	restUntil time.Time
}

// failed records a failure, of a try that took some time.
func (b *breaker) failed(now time.Time, took time.Duration, err error) {
	const leastRest, longestRest = 5 * time.Millisecond, 250 * time.Millisecond
	b.failures++
	b.err = err
	b.probeAt = now.Add(probes.Wait(b.failures))
	b.restUntil = now.Add(min(max(took, leastRest), longestRest))
}

// worked records an answer.
func (b *breaker) worked() { *b = breaker{} }

// open reports whether the last try failed.
func (b *breaker) open() bool { return b.failures > 0 }

// rests reports whether the last try failed just now.
func (b *breaker) rests(now time.Time) bool { return b.open() && now.Before(b.probeAt) }

// mayTry reports whether the server may be tried now: by a caller who has no other server,
// or in the background.
func (b *breaker) mayTry(now time.Time, last bool) bool {
	if last {
		return !now.Before(b.restUntil)
	}
	return !now.Before(b.probeAt)
}
