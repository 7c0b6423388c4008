package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

func init() {
	register(scenario{
		name: "c9", title: "the clocks of beanstalkd and of both nodes are moved by up to two hours",
		shortLimit: 5 * time.Minute, // of which the first build of the node takes most
		run:        runClocks,
	})
}

func runClocks(ctx context.Context, r *rig) error {
	path, err := buildMovable(ctx, r)
	if err != nil {
		return err
	}
	r.bin = path
	clocks, p, err := r.startMovable(ctx)
	if err != nil {
		return err
	}
	defer p.poll.close()
	target := pick(r, 100, 12)
	r.note(check.Event{What: check.Target, N: float64(target)})
	list, err := r.submitUntil(ctx, p, func(ctx context.Context) error {
		return moveClocks(ctx, r.random("clocks"), clocks, p.nodes, target, pick(r, 2*time.Second, 700*time.Millisecond))
	})
	if err != nil {
		return err
	}
	return r.conclude(ctx, p, list, pick(r, time.Minute, 15*time.Second))
}

// startMovable starts beanstalkd and two nodes, each with a clock of its own.
func (r *rig) startMovable(ctx context.Context) (map[string]*clock, *pair, error) {
	clocks := map[string]*clock{}
	for _, who := range []string{"beanstalkd", "node1", "node2"} {
		c, err := r.clock(who)
		if err != nil {
			return nil, nil, err
		}
		clocks[who] = c
	}
	env, err := clocks["beanstalkd"].faketime()
	if err != nil {
		return nil, nil, err
	}
	b, err := r.beanstalkd("beanstalkd", env...)
	if err != nil {
		return nil, nil, err
	}
	if err := b.up(ctx); err != nil {
		return nil, nil, err
	}
	p, err := r.startNodes(ctx, b, b.addr, 2, nil, nil)
	return clocks, p, err
}

// moveClocks moves a clock at random so many times, each to two hours before or
// after the true time, or back to it.
func moveClocks(ctx context.Context, chance *rand.Rand, clocks map[string]*clock, nodes []*node, times int, rest time.Duration) error {
	names := []string{"beanstalkd", "node1", "node2"}
	offsets := []time.Duration{-2 * time.Hour, 0, 2 * time.Hour}
	for range times {
		if !sleep(ctx, rest) {
			return ctx.Err()
		}
		at, by := chance.IntN(3), offsets[chance.IntN(3)]
		if err := clocks[names[at]].move(by); err != nil {
			return err
		}
		if at > 0 {
			if err := nodes[at-1].follows(ctx, by); err != nil {
				return err
			}
		}
	}
	return nil
}

// follows waits until the clock of a node is off by so much, as its answers say:
// a clock that cannot be moved would prove nothing.
func (n *node) follows(ctx context.Context, by time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return until(ctx, 50*time.Millisecond, "the clock of "+n.name+" has moved", func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/healthz", nil)
		if err != nil {
			return false
		}
		res, err := web.Do(req)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		date, err := http.ParseTime(res.Header.Get("Date"))
		return err == nil && (time.Until(date)-by).Abs() < time.Minute
	})
}
