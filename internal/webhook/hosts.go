package webhook

import (
	"net/url"
	"sync"
	"time"
)

const (
	// putOff is how long one waits whose host is busy, restAfter how long a host
	// is left alone that has not answered in time.
	putOff    = 2 * time.Second
	restAfter = 10 * time.Second
	// maxHosts bounds how many hosts are remembered to be slow.
	maxHosts = 1024
)

// hosts share out the tries, so that a slow receiver holds up only itself.
type hosts struct {
	mu   sync.Mutex
	busy map[string]int
	rest map[string]time.Time // until when
}

func newHosts() hosts { return hosts{busy: map[string]int{}, rest: map[string]time.Time{}} }

// enter takes room at a host; where there is none, wait says when to ask again.
func (h *hosts) enter(host string, now time.Time) (wait time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if rest := h.rest[host].Sub(now); rest > 0 {
		return rest, false
	}
	delete(h.rest, host)
	if h.busy[host] >= perHost {
		return putOff, false
	}
	h.busy[host]++
	return 0, true
}

// leave gives the room back.
func (h *hosts) leave(host string, slow bool, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy[host]--; h.busy[host] <= 0 {
		delete(h.busy, host)
	}
	if !slow {
		return
	}
	if len(h.rest) >= maxHosts {
		clear(h.rest)
	}
	h.rest[host] = now.Add(restAfter)
}

// hostOf is what a URL has to share with others.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
