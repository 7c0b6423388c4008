package results

import (
	"container/list"
	"sync"
)

// cache holds succeeded results, the least lately used going first. What it holds never
// changes; it is dropped when its job is deleted or runs
// again.
type cache struct {
	limit int64 // bytes

	mu      sync.Mutex
	used    int64
	recent  *list.List // of *stored, the latest used in front
	entries map[string]*list.Element
}

func newCache(limit int64) *cache {
	return &cache{limit: limit, recent: list.New(), entries: map[string]*list.Element{}}
}

// get returns nil if the cache does not hold id.
func (c *cache) get(id string) *stored {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[id]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*stored)
}

// find is get without a copy of the id.
func (c *cache) find(id []byte) *stored {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[string(id)]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*stored)
}

// add keeps s, and drops the least lately used results that have no more room.
func (c *cache) add(s *stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[s.id] != nil {
		return
	}
	c.entries[s.id] = c.recent.PushFront(s)
	c.used += s.cost()
	for c.used > c.limit && c.recent.Len() > 0 {
		c.drop(c.recent.Back())
	}
}

// remove drops the results of jobs.
func (c *cache) remove(ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range ids {
		if e := c.entries[id]; e != nil {
			c.drop(e)
		}
	}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.recent.Len() > 0 {
		c.drop(c.recent.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	s := c.recent.Remove(e).(*stored)
	delete(c.entries, s.id)
	c.used -= s.cost()
}
