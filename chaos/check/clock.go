package check

import "sort"

// clock is the one of all processes, which a scenario moves forward. The time of
// events is the true one.
type clock struct {
	// ordered are the steps when they were asked for, seen when all processes had
	// followed.
	ordered, seen []step
}

type step struct{ at, offset int64 } // nanoseconds

func (c *clock) add(e Event) {
	s := step{e.T, int64(e.N * 1e9)}
	switch {
	case e.What == Clock && e.Who == Everybody:
		c.ordered = append(c.ordered, s)
	case e.What == ClockSeen:
		c.seen = append(c.seen, s)
	}
}

// earliest returns the time that each process's clock has reached at t, and latest
// the time that none has passed.
func (c *clock) earliest(t int64) int64 { return t + offset(c.seen, t) }
func (c *clock) latest(t int64) int64   { return t + offset(c.ordered, t) }

func offset(steps []step, t int64) int64 {
	i := sort.Search(len(steps), func(i int) bool { return steps[i].at > t })
	if i == 0 {
		return 0
	}
	return steps[i-1].offset
}
