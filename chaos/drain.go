package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// drain waits until no message is left on any tube, and records what is. Hurry
// makes messages ready that were put off for up to half a minute.
func (r *rig) drain(ctx context.Context, b *server, patience time.Duration, hurry bool) error {
	c, err := dialBeanstalkd(b.addr)
	if err != nil {
		return err
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var counts map[string]int
	err = until(ctx, 100*time.Millisecond, "the tubes are empty", func() bool {
		counts, err = c.counts(hurry)
		if err != nil {
			return true
		}
		for _, n := range counts {
			if n > 0 {
				return false
			}
		}
		return true
	})
	for tube, n := range counts {
		r.note(check.Event{What: check.Tube, Who: tube, N: float64(n)})
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // the checker sees what is left
	}
	return err
}

// counts has the number of messages on each of Runnerbean's tubes. With kick,
// what is delayed becomes ready, unless that would hide that something is buried.
func (b *beanstalk) counts(kick bool) (map[string]int, error) {
	tubes, err := b.tubes()
	if err != nil {
		return nil, err
	}
	counts := map[string]int{inbox: 0}
	for _, tube := range tubes {
		if tube != inbox && !strings.HasPrefix(tube, runTubes) {
			continue
		}
		all, buried, err := b.messages(tube)
		if err != nil {
			return nil, err
		}
		counts[tube] = all
		if kick && all > 0 && buried == 0 {
			err = b.kick(tube)
		}
		if err != nil {
			return nil, err
		}
	}
	return counts, nil
}
