package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/runnerbean/runnerbean/api"
)

// ErrSlots is returned by SetSlots for a number of slots that cannot be.
var ErrSlots = fmt.Errorf("worker: slots must be between 0 and %d", api.MaxSlots)

// crew is the lanes of a worker: two for each slot, which change in number
// while they work.
type crew struct {
	mu         sync.Mutex
	slots      int             // in force
	seats      []*seat         // one for each slot that ever was
	take, work context.Context // nil where no lanes run
	lanes      sync.WaitGroup
}

// seat is one slot. What it is taken by outlives its lanes: those that end
// after their current job keep it until then, and those that come after wait.
type seat struct {
	slot  chan struct{} // full while the slot is taken
	addrs []string      // of the beanstalkd servers that its lanes serve
	end   context.CancelFunc
}

// Slots is how many programs may run at once now.
func (w *Worker) Slots() int {
	w.crew.mu.Lock()
	defer w.crew.mu.Unlock()
	return w.crew.slots
}

// Busy is how many slots have a job, those among them that are too many. A slot
// is taken by who waits for a job, too, and an attempt may go on after it has
// left its slot, so that it is the lesser of the two.
func (w *Worker) Busy() int {
	w.crew.mu.Lock()
	defer w.crew.mu.Unlock()
	taken := 0
	for _, s := range w.crew.seats {
		taken += len(s.slot)
	}
	return min(taken, len(w.running.list()))
}

// SetSlots changes how many programs may run at once, from 0 to api.MaxSlots. Where
// there are fewer, what runs in a slot too many goes on to its end. It may be
// called at any time, also before Run and by several at once. ErrSlots, or why
// a lane cannot be made: those that could be work, and another call tries again.
func (w *Worker) SetSlots(n int) error {
	switch {
	case n < 0 || n > api.MaxSlots:
		return fmt.Errorf("%w: %d", ErrSlots, n)
	case n > 0 && w.cfg.Scratch == "":
		return errors.New("worker: slots need a folder to work in: set Config.Scratch")
	}
	c := w.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	if n != c.slots {
		w.logger.Info("the number of slots has changed", "node", w.cfg.Node, "slots", n, "before", c.slots)
		c.slots = n
	}
	return w.fit()
}

// open starts the lanes, until take ends.
func (w *Worker) open(take, work context.Context) error {
	c := w.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	c.take, c.work = take, work
	return w.fit()
}

// close waits for the end of all lanes; none comes after it.
func (c *crew) close() {
	c.mu.Lock()
	for _, s := range c.seats {
		s.stop()
	}
	c.take, c.work = nil, nil
	c.mu.Unlock()
	c.lanes.Wait()
}

// fit makes the lanes what the number of slots asks for. The caller holds the
// lock.
func (w *Worker) fit() error {
	c := w.crew
	if c.take == nil {
		return nil
	}
	if c.slots > 0 {
		w.prepare()
	}
	for len(c.seats) < c.slots {
		c.seats = append(c.seats, &seat{slot: make(chan struct{}, 1)})
	}
	var errs []error
	for i, s := range c.seats {
		var addrs []string
		if i < c.slots {
			addrs = share(w.cfg.Queue.Addrs, i, c.slots)
		}
		if !slices.Equal(addrs, s.addrs) {
			s.stop()
			errs = append(errs, w.staff(s, addrs))
		}
	}
	return errors.Join(errs...)
}

// stop has the lanes of the seat end after their current jobs.
func (s *seat) stop() {
	if s.end != nil {
		s.end()
	}
	s.addrs, s.end = nil, nil
}

// staff starts two lanes that serve some servers; none where there are none.
func (w *Worker) staff(s *seat, addrs []string) error {
	if len(addrs) == 0 {
		return nil
	}
	c := w.crew
	take, end := context.WithCancel(c.take)
	s.addrs, s.end = addrs, end
	for range 2 {
		l, err := w.newLane(addrs, s.slot)
		if err != nil {
			s.stop()
			return fmt.Errorf("worker: %w", err)
		}
		work := c.work
		c.lanes.Go(func() { l.run(take, work) })
	}
	return nil
}
