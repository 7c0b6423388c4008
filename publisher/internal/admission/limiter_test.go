package admission

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestLimiter takes and releases at random. There are never too many places, and
// a network with fewer places than others gets one.
func TestLimiter(t *testing.T) {
	t.Parallel()
	const limit = 20
	rnd := rand.New(rand.NewPCG(1, 2))
	s := New(func() int { return limit })
	var held []*Place
	for step := range 20_000 {
		if len(held) > 0 && rnd.IntN(3) == 0 {
			i := rnd.IntN(len(held))
			s.Release(held[i])
			held = append(held[:i], held[i+1:]...)
			continue
		}
		from := netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/32", rnd.IntN(1+step/2000)))
		p := &Place{From: from}
		busy, pinned := rnd.IntN(3) > 0, rnd.IntN(10) == 0
		if !pinned {
			p.Evict = func() {}
		}
		p.Idle = func() (int64, bool) { return int64(step), !busy }
		most, mine := 0, len(s.taken[from])
		for _, places := range s.taken {
			n := 0
			for p := range places {
				if p.Evict != nil {
					n++
				}
			}
			if n == len(places) {
				most = max(most, n)
			}
		}
		full := s.Len() == limit
		ok := s.Take(p)
		if !ok && (!full || most > mine+1) {
			t.Fatalf("step %d: refused with %d of %d, most %d, mine %d", step, s.Len(), limit, most, mine)
		}
		if ok {
			held = append(held, p)
		}
		count := 0
		for _, places := range s.taken {
			count += len(places)
		}
		if count != s.Len() || count > limit {
			t.Fatalf("step %d: %d places, counted %d", step, count, s.Len())
		}
	}
	for _, p := range held {
		s.Release(p)
		s.Release(p)
	}
	if s.Len() != 0 || len(s.taken) != 0 {
		t.Errorf("%d are left", s.Len())
	}
}

// TestLimiterEvictsWhatItFound calls SetEvict from within an eviction, as a
// connection does that becomes a stream. That changes nothing about the eviction.
func TestLimiterEvictsWhatItFound(t *testing.T) {
	t.Parallel()
	limit, evicted := 2, 0
	s := New(func() int { return limit })
	many, one := netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32")
	places := []*Place{{From: many}, {From: many}}
	for _, p := range places {
		p.Idle = func() (int64, bool) { return 0, true }
		p.Evict = func() {
			evicted++
			for _, p := range places {
				if s.SetEvict(p, nil, nil) {
					t.Error("an evicted place is said to be held")
				}
			}
		}
		if !s.Take(p) || !s.SetEvict(p, p.Evict, p.Idle) {
			t.Fatal("no place")
		}
	}
	limit = 1
	if !s.Take(&Place{From: one}) || evicted != 2 {
		t.Errorf("%d were evicted", evicted)
	}
}

// TestSetEvictDuringEviction calls SetEvict from another goroutine.
func TestSetEvictDuringEviction(t *testing.T) {
	t.Parallel()
	s := New(func() int { return 1 })
	from := netip.MustParsePrefix("10.0.0.1/32")
	idle := func() (int64, bool) { return 0, true }
	for range 2000 {
		p, ended := &Place{From: from, Evict: func() {}, Idle: idle}, make(chan struct{})
		s.Take(p)
		go func() { s.SetEvict(p, nil, nil); close(ended) }()
		next := &Place{From: from}
		s.Take(next)
		<-ended
		s.Release(p)
		s.Release(next)
	}
}
