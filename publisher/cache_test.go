package publisher

import (
	"sync"
	"testing"
)

func TestSingleFlight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, body := b.succeeded(sized(100))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if r := b.get("/" + id); r.StatusCode != 200 || bodyOf(t, r) != string(body) {
				t.Errorf("got %d", r.StatusCode)
			}
		})
	}
	all.Wait()
	if n := b.p.docs.cache.recent.Len(); n != 1 {
		t.Errorf("%d entries", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.CacheBytes = 20_000 })
	var ids []string
	var first *stored
	for range 12 {
		id, _ := b.succeeded(sized(500))
		ids = append(ids, id)
		if r := b.get("/" + id); r.StatusCode != 200 {
			t.Fatal(r.StatusCode)
		}
		b.get("/" + ids[0]) // in use, so it stays
		if first == nil {
			first = b.p.docs.cache.get(id)
		}
	}
	c := b.p.docs.cache
	if c.used > 20_000 || c.recent.Len() != len(c.entries) || c.get(ids[0]) != first || c.get(ids[1]) != nil {
		t.Errorf("%d bytes, %d entries", c.used, len(c.entries))
	}
	if r := b.get("/" + ids[1]); r.StatusCode != 200 {
		t.Errorf("one that was let go: %d", r.StatusCode)
	}
}
