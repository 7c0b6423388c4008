package auth

import (
	"sync"
	"time"
)

// maxFailureEvents bounds the events about wrong tokens in a minute, so that they
// do not fill the ledger.
const maxFailureEvents = 10

// failureEvents counts the events about wrong tokens. Its zero value is ready.
type failureEvents struct {
	mu     sync.Mutex
	minute time.Time
	events int
}

// next reports whether another wrong token gets an event, and whether that is the
// last event of this minute.
func (f *failureEvents) next(now time.Time) (ok, last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if minute := now.Truncate(time.Minute); !minute.Equal(f.minute) {
		f.minute, f.events = minute, 0
	}
	f.events++
	return f.events <= maxFailureEvents, f.events == maxFailureEvents
}
