package retry

import (
	"sync/atomic"
	"time"
)

const (
	// slow is the time from which on an operation is slow.
	slow = 50 * time.Millisecond
	// pauses is how many times as long as a slow operation the pause after it is.
	pauses = 9
)

// Pace keeps an operation that repeats to a tenth of the time once it is slow. The zero value
// is ready for use. It is safe for concurrent use.
type Pace struct{ until atomic.Pointer[time.Time] }

// Ready reports whether the pause after the last slow operation is over. It holds although the
// wall clock is set, if now is of time.Now.
func (p *Pace) Ready(now time.Time) bool {
	until := p.until.Load()
	return until == nil || !now.Before(*until)
}

// Took is told how long an operation took that has ended now.
func (p *Pace) Took(now time.Time, d time.Duration) {
	if d > slow {
		until := now.Add(pauses * d)
		p.until.Store(&until)
	}
}
