package webhook

import (
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	// perHost is the largest number of tries at one host at one time.
	perHost = 2
	// leastWait is the shortest time by which a hook of a busy host is postponed.
	// restTime is the pause after a host has not answered in time.
	leastWait = 2 * time.Second
	restTime  = 10 * time.Second
	// maxLine is how many hooks wait in memory for one host, maxInLine how long.
	maxLine   = 256
	maxInLine = 2 * time.Minute
	// usualTime is how long a try is expected to take if nothing is known.
	usualTime = 50 * time.Millisecond
	// Postponed hooks come back one after the other, at most longestGap apart and
	// within longestWait.
	longestGap  = time.Second
	longestWait = 5 * time.Minute
	// maxHosts is the largest number of hosts that are remembered.
	maxHosts = 1024
)

// hosts limits the tries at each host, so that a slow one holds up only itself.
type hosts struct {
	mu    sync.Mutex
	known map[string]*host
}

// host is one receiver.
type host struct {
	busy int           // tries under way
	line []waiting     // hooks to be tried next
	rest time.Time     // time until which the host is not called
	took time.Duration // moving average of one try
	turn time.Time     // when the last postponed hook comes back
}

// waiting is a hook in line.
type waiting struct {
	hook  Hook
	since time.Time
}

func newHosts() hosts { return hosts{known: map[string]*host{}} }

// of returns the host with a name. The caller holds mu.
func (h *hosts) of(name string) *host {
	if r := h.known[name]; r != nil {
		return r
	}
	if len(h.known) >= maxHosts {
		for name, r := range h.known {
			if r.busy == 0 {
				delete(h.known, name)
			}
		}
	}
	r := &host{took: usualTime}
	h.known[name] = r
	return r
}

// enter takes a place at a host, and returns the hook for the caller to try. If all
// places are taken, hook waits in line. If the line is full or the host rests, wait
// says when to ask again.
func (h *hosts) enter(name string, hook Hook, now time.Time) (next *Hook, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.of(name)
	switch {
	case r.rest.After(now):
		return nil, r.later(now)
	case r.busy < perHost:
		r.busy++
		return &hook, 0
	case len(r.line) < maxLine:
		r.line = append(r.line, waiting{hook, now})
		return nil, 0
	}
	return nil, r.later(now)
}

// later returns by how long to postpone one hook. It spreads the hooks over the time
// that their tries take, because each return costs a write to the ledger.
func (r *host) later(now time.Time) time.Duration {
	first := now.Add(max(leastWait, r.rest.Sub(now)))
	if r.turn.Before(first) || r.turn.After(first.Add(longestWait)) {
		r.turn = first
	}
	wait := r.turn.Sub(now)
	r.turn = r.turn.Add(min(r.took/perHost, longestGap))
	return wait
}

// tried records the duration of a try and whether the host answered.
func (h *hosts) tried(name string, slow bool, took time.Duration, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.of(name)
	r.took = (3*r.took + took) / 4
	if slow {
		r.rest = now.Add(restTime)
	}
}

// next returns the next hook for the caller to try. If there is none, the caller
// has to stop, or the host rests, next gives the caller's place back. left then are
// the hooks in line that nobody else will try.
func (h *hosts) next(name string, stop bool, now time.Time) (next *Hook, left []Hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.of(name)
	// A hook that has waited too long is due again when its lease ends.
	r.line = slices.DeleteFunc(r.line, func(w waiting) bool { return now.Sub(w.since) > maxInLine })
	rests := r.rest.After(now)
	if len(r.line) > 0 && !stop && !rests {
		next, r.line = &r.line[0].hook, r.line[1:]
		return next, nil
	}
	if r.busy--; r.busy == 0 || rests {
		for _, w := range r.line {
			left = append(left, w.hook)
		}
		r.line = nil
	}
	return nil, left
}

// again returns by how long to postpone a hook that waited in the queue.
func (h *hosts) again(name string, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of(name).later(now)
}

// hostOf returns the host and port of a URL, or "" for a string that is no URL.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
