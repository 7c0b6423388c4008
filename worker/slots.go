package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/runnerbean/runnerbean/api"
)

// ErrSlots is returned by SetSlots for a number of slots that is not allowed.
var ErrSlots = fmt.Errorf("worker: slots must be between 0 and %d", api.MaxSlots)

// slots are the slots of a worker, with two executors each. Their number changes while
// they work.
type slots struct {
	node   string
	logger *slog.Logger
	// prepare is called before executors start.
	prepare func()
	// newExecutor returns an executor for a slot.
	newExecutor func(taken chan struct{}) (*executor, error)

	mu         sync.Mutex
	count      int             // in force
	all        []*slot         // one for each slot that ever was
	take, work context.Context // nil while no executors run
	executors  sync.WaitGroup
}

// slot is room for one running program. It outlives its executors: those that end after
// their current jobs keep the slot until then, and new ones wait.
type slot struct {
	taken chan struct{}      // full while the slot is taken
	end   context.CancelFunc // of its executors; nil while it has none
}

// number returns how many programs may run at the same time now.
func (s *slots) number() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// taken returns how many slots are taken, including those that are being removed.
func (s *slots) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := 0
	for _, slot := range s.all {
		taken += len(slot.taken)
	}
	return taken
}

// set changes the number of slots.
func (s *slots) set(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n != s.count {
		s.logger.Info("the number of slots has changed", "node", s.node, "slots", n, "before", s.count)
		s.count = n
	}
	return s.fit()
}

// open starts the executors.
func (s *slots) open(take, work context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take, s.work = take, work
	return s.fit()
}

// close waits for the end of all executors. None starts afterwards.
func (s *slots) close() {
	s.mu.Lock()
	for _, slot := range s.all {
		slot.stop()
	}
	s.take, s.work = nil, nil
	s.mu.Unlock()
	s.executors.Wait()
}

// fit starts and stops executors until they fit the number of slots. The caller holds the
// lock.
func (s *slots) fit() error {
	if s.take == nil {
		return nil
	}
	if s.count > 0 {
		s.prepare()
	}
	for len(s.all) < s.count {
		s.all = append(s.all, &slot{taken: make(chan struct{}, 1)})
	}
	var errs []error
	for i, slot := range s.all {
		switch {
		case i >= s.count:
			slot.stop()
		case slot.end == nil:
			errs = append(errs, s.start(slot))
		}
	}
	return errors.Join(errs...)
}

// stop makes the executors of the slot end after their current jobs.
func (s *slot) stop() {
	if s.end != nil {
		s.end()
	}
	s.end = nil
}

// start starts the two executors of a slot.
func (s *slots) start(slot *slot) error {
	take, end := context.WithCancel(s.take)
	slot.end = end
	for range 2 {
		e, err := s.newExecutor(slot.taken)
		if err != nil {
			slot.stop()
			return fmt.Errorf("worker: %w", err)
		}
		work := s.work
		s.executors.Go(func() { e.run(take, work) })
	}
	return nil
}
