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

// Limit bounds how often one panic is recorded that comes again and again. The
// zero value is ready.
type Limit struct {
	mu       sync.Mutex
	recorded map[string]time.Time
}

// Allow reports whether to record a panic: one of the same stage, job and place
// in the code was not allowed within an hour.
func (l *Limit) Allow(stage, job string, caught *Error, now time.Time) bool {
	place, _, _ := strings.Cut(caught.Stack, "\n")
	key := stage + "\n" + job + "\n" + place
	l.mu.Lock()
	defer l.mu.Unlock()
	// A clock that was ahead silences nothing.
	if age := now.Sub(l.recorded[key]); age >= 0 && age < limitEvery {
		return false
	}
	if l.recorded == nil || len(l.recorded) >= maxLimited {
		l.recorded = map[string]time.Time{}
	}
	l.recorded[key] = now
	return true
}
