// Package admission bounds what clients hold at one time (connections, event
// streams, files that are being sent) and divides it between their networks.
package admission

import (
	"net/netip"
	"sync"
)

// Limiter hands out places to clients. While there is room, a client takes as many
// as it wants, so that a proxy with all clients behind one address is not held
// back. When there is none, a network with fewer places takes one from a network
// with more.
type Limiter struct {
	limit func() int

	mu    sync.Mutex
	count int
	taken map[netip.Prefix]map[*Place]struct{}
}

// Place is what a client takes. Release gives it back.
type Place struct {
	// From is the network of the client.
	From netip.Prefix
	// Evict ends what holds the place. It must not block. A place without Evict is
	// never taken away.
	Evict func()
	// Idle reports whether nothing is lost when the place is taken away, and since
	// when, in nanoseconds since 1970. Default: the place is busy.
	Idle func() (since int64, ok bool)

	held bool // guarded by Limiter.mu
}

// New returns a Limiter; limit returns the greatest number of places at this moment.
func New(limit func() int) *Limiter {
	return &Limiter{limit: limit, taken: map[netip.Prefix]map[*Place]struct{}{}}
}

// Take takes p. It returns false if there is no room. Take evicts the holders of
// the places that it needs.
func (l *Limiter) Take(p *Place) bool {
	evictions, ok := l.makeRoom(p)
	for _, evict := range evictions {
		evict()
	}
	return ok
}

// makeRoom returns the Evict functions of the places that it took away. It reads
// them under the lock because SetEvict may change them at any time.
func (l *Limiter) makeRoom(p *Place) (evictions []func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for limit := l.limit(); l.count >= limit; {
		v := l.victim(p.From)
		if v == nil {
			return evictions, false
		}
		l.drop(v)
		evictions = append(evictions, v.Evict)
	}
	if l.taken[p.From] == nil {
		l.taken[p.From] = map[*Place]struct{}{}
	}
	l.taken[p.From][p] = struct{}{}
	l.count++
	p.held = true
	return evictions, true
}

// victim returns the place that a client of the network from may take away. Idle
// places come first: the longest idle one of the network with the most places, if
// that network has more than from or is from. Otherwise victim picks a busy place of
// a network that still has more places than from afterwards. It returns nil if there
// is none.
func (l *Limiter) victim(from netip.Prefix) *Place {
	var best *Place
	var mostIdle, most int
	var oldest int64
	mine := len(l.taken[from])
	for network, places := range l.taken {
		n := len(places)
		for p := range places {
			if p.Evict == nil {
				continue
			}
			since, idle := p.idle()
			switch {
			case idle && (n > mine || network == from) && (n > mostIdle || n == mostIdle && since < oldest):
				best, mostIdle, oldest = p, n, since
			case mostIdle == 0 && n > mine+1 && n > most:
				best, most = p, n
			}
		}
	}
	return best
}

func (p *Place) idle() (since int64, ok bool) {
	if p.Idle == nil {
		return 0, false
	}
	return p.Idle()
}

// drop takes a place away. The caller holds the lock.
func (l *Limiter) drop(p *Place) {
	places := l.taken[p.From]
	delete(places, p)
	if len(places) == 0 {
		delete(l.taken, p.From)
	}
	l.count--
	p.held = false
}

// Release gives a place back. It may be called more than once, also after an
// eviction.
func (l *Limiter) Release(p *Place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.held {
		l.drop(p)
	}
}

// SetEvict replaces the Evict and Idle functions of a place. It returns false if the
// place was released or evicted before: the caller then ends what held it.
func (l *Limiter) SetEvict(p *Place, evict func(), idle func() (int64, bool)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Evict, p.Idle = evict, idle
	return p.held
}

// Limit returns the greatest number of places at this moment.
func (l *Limiter) Limit() int { return l.limit() }

// Len returns the number of places that are taken.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// Idle returns the number of places that are taken and idle.
func (l *Limiter) Idle() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, places := range l.taken {
		for p := range places {
			if _, ok := p.idle(); ok {
				n++
			}
		}
	}
	return n
}
