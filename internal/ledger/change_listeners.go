package ledger

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/runnerbean/runnerbean/internal/panics"
)

// maxNotified is the largest number of ids in one call of a listener.
const maxNotified = 1024

// listeners are called after a commit with the ids of the jobs that it changed.
type listeners struct {
	mu   sync.Mutex
	next int
	list []listener
}

type listener struct {
	number int
	f      func(ids []string)
}

func (s *listeners) add(f func(ids []string)) func() {
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

func (s *listeners) notify(log *slog.Logger, ids []string) {
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
