package pages

import (
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// pageAge is how long a rendered page answers for its URL. live.js waits a
	// little longer after a change, so that it gets a page made after it.
	pageAge = 500 * time.Millisecond
	// cacheBytes is the memory for all rendered pages. Pages with a longer key than
	// maxPageKey are not kept.
	cacheBytes = 16 << 20
	maxPageKey = 1 << 10
)

// pageCache keeps rendered pages for a moment, and renders each at most once at a
// time.
type pageCache struct {
	flight singleflight.Group

	mu   sync.Mutex
	age  int // counts the changes that came in through this node
	used int64
	held map[string]rendered
}

type rendered struct {
	page *httpio.CachedResponse
	made time.Time
}

// get returns the page of key, made by render if need be.
func (s *pageCache) get(key string, render func() (*httpio.CachedResponse, error)) (*httpio.CachedResponse, error) {
	page, age := s.look(key)
	if page != nil {
		return page, nil
	}
	v, err, _ := s.flight.Do(fmt.Sprint(age, " ", key), func() (any, error) {
		made := time.Now()
		page, err := render()
		if err == nil {
			s.keep(key, age, rendered{page, made})
		}
		return page, err
	})
	if err != nil {
		return nil, err
	}
	return v.(*httpio.CachedResponse), nil
}

// look returns a page that is young enough, or nil, and the present age.
func (s *pageCache) look(key string) (*httpio.CachedResponse, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.held[key]; ok && time.Since(e.made) < pageAge {
		return e.page, s.age
	}
	return nil, s.age
}

// keep stores a page, unless something was changed while it was made.
func (s *pageCache) keep(key string, age int, e rendered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.age != age || len(key) > maxPageKey {
		return
	}
	s.dropLocked(func(k string, old rendered) bool { return k == key || time.Since(old.made) >= pageAge })
	if s.used+e.page.Size() > cacheBytes {
		return
	}
	if s.held == nil {
		s.held = map[string]rendered{}
	}
	s.held[key] = e
	s.used += e.page.Size()
}

// forget drops all pages, since something has changed.
func (s *pageCache) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age++
	s.dropLocked(func(string, rendered) bool { return true })
}

func (s *pageCache) dropLocked(which func(string, rendered) bool) {
	for key, e := range s.held {
		if which(key, e) {
			s.used -= e.page.Size()
			delete(s.held, key)
		}
	}
}
