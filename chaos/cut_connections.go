package main

import (
	"context"
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

func cutConnections(ctx context.Context, bed *testbed.Testbed) error {
	b, err := bed.NewServer("beanstalkd")
	if err != nil {
		return err
	}
	if err := b.Up(ctx); err != nil {
		return err
	}
	p, proxies, err := startProxied(ctx, bed, b)
	if err != nil {
		return err
	}
	defer func() {
		for _, x := range proxies {
			x.Close()
		}
	}()
	defer p.poll.Close()
	target := testbed.Pick(bed, 2000, 150)
	bed.History.Note(check.Event{What: check.Target, N: float64(target)})
	list, err := submitUntil(ctx, bed, p, func(ctx context.Context) error { return testbed.AwaitCuts(ctx, int64(target), proxies...) })
	if err != nil {
		return err
	}
	for _, x := range proxies {
		x.NoCuts.Store(true)
	}
	if err := conclude(ctx, bed, p, list, testbed.Pick(bed, time.Minute, 15*time.Second)); err != nil {
		return err
	}
	return drain(ctx, bed, b, time.Minute, bed.Config.Short)
}

// startProxied starts two nodes that reach beanstalkd through a proxy each.
func startProxied(ctx context.Context, bed *testbed.Testbed, b *testbed.Server) (*cluster, []*testbed.Proxy, error) {
	at, err := bed.NewShared("", "work")
	if err != nil {
		return nil, nil, err
	}
	p := &cluster{beanstalkd: b}
	var proxies []*testbed.Proxy
	for _, name := range []string{"node1", "node2"} {
		x, err := bed.NewProxy(name, b.Addr)
		if err != nil {
			return nil, nil, err
		}
		proxies = append(proxies, x)
		at.Beanstalkd = x.Addr()
		n, err := bed.NewNode(name, at, 2, nil)
		if err != nil {
			return nil, nil, err
		}
		if err := n.Up(ctx); err != nil {
			return nil, nil, err
		}
		p.nodes = append(p.nodes, n)
	}
	p.poll = bed.StartPolling(ctx, 3, 4*time.Millisecond, p.nodes...)
	return p, proxies, nil
}

// drain waits until all tubes are empty, and records what is left. With hurry,
// it makes delayed messages ready.
func drain(ctx context.Context, bed *testbed.Testbed, b *testbed.Server, patience time.Duration, hurry bool) error {
	c, err := testbed.DialBeanstalkd(b.Addr)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var counts map[string]int
	err = testbed.Until(ctx, 100*time.Millisecond, "the tubes are empty", func() bool {
		counts, err = c.Counts(hurry)
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
		bed.History.Note(check.Event{What: check.Tube, Who: tube, N: float64(n)})
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // the checker reports what is left
	}
	return err
}
