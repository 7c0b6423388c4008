// Package changes tells listeners which jobs a commit has changed.
package changes

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// maxNotified is the largest number of ids in one call of a listener.
const maxNotified = 1024

// Listeners are called after a commit with the ids of the jobs that it changed. The zero
// value has none.
type Listeners struct {
	mu   sync.Mutex
	next int
	list []listener
}

type listener struct {
	number int
	f      func(ids []string)
}

// Add adds a listener. The result removes it.
func (s *Listeners) Add(f func(ids []string)) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	number := s.next
	s.list = append(slices.Clone(s.list), listener{number, f})
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.list = slices.DeleteFunc(slices.Clone(s.list), func(l listener) bool { return l.number == number })
	}
}

// Notify calls all listeners with at most 1,024 ids at a time. It logs their panics.
func (s *Listeners) Notify(log *slog.Logger, ids []string) {
	if len(ids) == 0 {
		return
	}
	s.mu.Lock()
	list := s.list
	s.mu.Unlock()
	for piece := range slices.Chunk(ids, maxNotified) {
		for _, l := range list {
			if caught := panics.Catch(func() { l.f(piece) }); caught != nil {
				log.Error("a listener for changed jobs panicked", "err", caught, "stack", caught.Stack)
			}
		}
	}
}
