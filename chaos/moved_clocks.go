package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

func moveAllClocks(ctx context.Context, bed *testbed.Testbed) error {
	path, err := bed.Config.Builds.Today(ctx)
	if err != nil {
		return err
	}
	bed.Bin = path
	clocks, p, err := startMovable(ctx, bed)
	if err != nil {
		return err
	}
	defer p.poll.Close()
	target := testbed.Pick(bed, 100, 12)
	bed.History.Note(check.Event{What: check.Target, N: float64(target)})
	list, err := submitUntil(ctx, bed, p, func(ctx context.Context) error {
		return moveClocks(ctx, bed.Random("clocks"), clocks, p.nodes, target, testbed.Pick(bed, 2*time.Second, 700*time.Millisecond))
	})
	if err != nil {
		return err
	}
	return conclude(ctx, bed, p, list, testbed.Pick(bed, time.Minute, 15*time.Second))
}

// startMovable starts beanstalkd and two nodes, each with its own clock.
func startMovable(ctx context.Context, bed *testbed.Testbed) (map[string]*testbed.Clock, *cluster, error) {
	clocks := map[string]*testbed.Clock{}
	for _, who := range []string{"beanstalkd", "node1", "node2"} {
		c, err := bed.NewClock(who)
		if err != nil {
			return nil, nil, err
		}
		clocks[who] = c
	}
	env, err := clocks["beanstalkd"].FaketimeEnv()
	if err != nil {
		return nil, nil, err
	}
	b, err := bed.NewServer("beanstalkd", env...)
	if err != nil {
		return nil, nil, err
	}
	if err := b.Up(ctx); err != nil {
		return nil, nil, err
	}
	p, err := startNodes(ctx, bed, b, b.Addr, 2, nil, nil)
	return clocks, p, err
}

// moveClocks moves random clocks, each to the true time or two hours before or
// after it.
func moveClocks(ctx context.Context, rng *rand.Rand, clocks map[string]*testbed.Clock, nodes []*testbed.Node, times int, rest time.Duration) error {
	names := []string{"beanstalkd", "node1", "node2"}
	offsets := []time.Duration{-2 * time.Hour, 0, 2 * time.Hour}
	for range times {
		if !testbed.Sleep(ctx, rest) {
			return ctx.Err()
		}
		at, by := rng.IntN(3), offsets[rng.IntN(3)]
		if err := clocks[names[at]].Move(by); err != nil {
			return err
		}
		if at > 0 {
			if err := nodes[at-1].AwaitClock(ctx, by); err != nil {
				return err
			}
		}
	}
	return nil
}
