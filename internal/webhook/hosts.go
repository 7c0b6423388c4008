package webhook

import (
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	// putOff is how long one waits at least whose host is busy, restAfter how long
	// a host is left alone that has not answered in time.
	putOff    = 2 * time.Second
	restAfter = 10 * time.Second
	// maxLine is how many wait in memory for their turn at one host.
	maxLine = 256
	// usual is taken for how long a try takes where nothing is known.
	usual = 50 * time.Millisecond
	// Those that are put off come back one after the other: at most longestGap
	// apart, and within longestWait.
	longestGap  = time.Second
	longestWait = 5 * time.Minute
	// maxHosts bounds how many hosts are remembered.
	maxHosts = 1024
)

// hosts share out the tries, so that a slow receiver holds up only itself.
type hosts struct {
	mu    sync.Mutex
	known map[string]*host
}

// host is one receiver.
type host struct {
	busy int           // how many tell it something
	line []waiting     // to be told next, by those
	rest time.Time     // until when it is left alone
	took time.Duration // a try, lately
	turn time.Time     // of the last one that was put off
}

// waiting is one in line.
type waiting struct {
	hook  Hook
	since time.Time
}

func newHosts() hosts { return hosts{known: map[string]*host{}} }

// of returns the host of that name. The caller holds the lock.
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
	r := &host{took: usual}
	h.known[name] = r
	return r
}

// enter takes room at a host: the caller is to tell it next. Where others do,
// hook waits in line for one of them. Where that is too long or the host rests,
// wait says when to ask again.
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

// later shares out when those that are put off come back: each time costs a
// write, so it is about when they can be told.
func (r *host) later(now time.Time) time.Duration {
	first := now.Add(max(putOff, r.rest.Sub(now)))
	if r.turn.Before(first) || r.turn.After(first.Add(longestWait)) {
		r.turn = first
	}
	wait := r.turn.Sub(now)
	r.turn = r.turn.Add(min(r.took/perHost, longestGap))
	return wait
}

// told notes how a try went.
func (h *hosts) told(name string, slow bool, took time.Duration, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.of(name)
	r.took = (3*r.took + took) / 4
	if slow {
		r.rest = now.Add(restAfter)
	}
}

// next is what the caller is to tell next. Where there is nothing, or it has to
// stop, or the host rests, it has given its room back; then left is what nobody
// else will tell.
func (h *hosts) next(name string, stop bool, now time.Time) (next *Hook, left []Hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.of(name)
	r.trim(now)
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

// trim forgets who has waited for so long that others may soon have it, too: it
// is due again when the lease is over.
func (r *host) trim(now time.Time) {
	r.line = slices.DeleteFunc(r.line, func(w waiting) bool { return now.Sub(w.since) > maxInLine })
}

// again says when one is to come back that was taken in vain.
func (h *hosts) again(name string, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of(name).later(now)
}

// hostOf is what a URL has to share with others.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
