package publisher

import (
	"net/netip"
	"sync"
)

// shares divides places (connections, event streams and held answers) between
// the networks of clients. While there is room everybody takes what they like,
// so that a proxy with all clients behind one address is not held back. When there
// is none, who has fewer takes from who has more.
type shares struct {
	limit func() int

	mu    sync.Mutex
	count int
	taken map[netip.Prefix]map[*place]struct{}
}

// place is one that a client takes; leave gives it back.
type place struct {
	from netip.Prefix
	// evict ends what holds the place; it must not wait. A place without is kept.
	evict func()
	// idle reports whether nothing would be lost with the place, and since when
	// that is so, in nanoseconds since 1970. Default: it is not.
	idle func() (since int64, ok bool)

	held bool // guarded by the mutex of the shares
}

func newShares(limit func() int) *shares {
	return &shares{limit: limit, taken: map[netip.Prefix]map[*place]struct{}{}}
}

// take takes p, or reports that there is no room for it. What it takes the place
// of is evicted.
func (s *shares) take(p *place) bool {
	evictions, ok := s.makeRoom(p)
	for _, evict := range evictions {
		evict()
	}
	return ok
}

// makeRoom returns what evicts those whose places are taken, as it is now: settle
// may change it at any time.
func (s *shares) makeRoom(p *place) (evictions []func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for limit := s.limit(); s.count >= limit; {
		v := s.victim(p.from)
		if v == nil {
			return evictions, false
		}
		s.drop(v)
		evictions = append(evictions, v.evict)
	}
	if s.taken[p.from] == nil {
		s.taken[p.from] = map[*place]struct{}{}
	}
	s.taken[p.from][p] = struct{}{}
	s.count++
	p.held = true
	return evictions, true
}

// victim is the place that a client from some network may take: the one that has
// been idle for the longest, of the network that has most, if that is not one
// with fewer; else any of a network that has more even then.
func (s *shares) victim(from netip.Prefix) *place {
	var best *place
	var mostIdle, most int
	var oldest int64
	mine := len(s.taken[from])
	for network, places := range s.taken {
		n := len(places)
		for p := range places {
			if p.evict == nil {
				continue
			}
			since, idle := int64(0), false
			if p.idle != nil {
				since, idle = p.idle()
			}
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

// drop takes a place away. The caller holds the mutex.
func (s *shares) drop(p *place) {
	places := s.taken[p.from]
	delete(places, p)
	if len(places) == 0 {
		delete(s.taken, p.from)
	}
	s.count--
	p.held = false
}

// leave gives a place back. It may be called more than once, and by who was
// evicted.
func (s *shares) leave(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.held {
		s.drop(p)
	}
}

// settle says how a place that was taken can be evicted from now on. It reports
// false where the place has been given back or evicted already: the caller then
// ends what it is of.
func (s *shares) settle(p *place, evict func(), idle func() (int64, bool)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.evict, p.idle = evict, idle
	return p.held
}

func (s *shares) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}
