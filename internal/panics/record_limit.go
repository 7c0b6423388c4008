package panics

import (
	"strings"
	"sync"
	"time"
)

const (
	limitEvery = time.Hour
	maxLimited = 1000
)

// Limit bounds how often a repeated panic is recorded. The zero value is ready to use.
type Limit struct {
	mu       sync.Mutex
	recorded map[string]time.Time
}

// Allow reports whether to record a panic. It allows one panic per hour of the same
// stage, job and place in the code.
func (l *Limit) Allow(stage, job string, caught *Error, now time.Time) bool {
	place, _, _ := strings.Cut(caught.Stack, "\n")
	key := stage + "\n" + job + "\n" + place
	l.mu.Lock()
	defer l.mu.Unlock()
	// A time in the future means that the clock was set back. It must not suppress
	// records.
	if age := now.Sub(l.recorded[key]); age >= 0 && age < limitEvery {
		return false
	}
	if l.recorded == nil || len(l.recorded) >= maxLimited {
		l.recorded = map[string]time.Time{}
	}
	l.recorded[key] = now
	return true
}
