package main

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

func init() {
	register(scenario{
		name: "c7", title: "connections between nodes and beanstalkd are cut at random bytes",
		run: runCuts,
	})
}

func runCuts(ctx context.Context, r *rig) error {
	b, err := r.beanstalkd("beanstalkd")
	if err != nil {
		return err
	}
	if err := b.up(ctx); err != nil {
		return err
	}
	p, proxies, err := r.startCut(ctx, b)
	if err != nil {
		return err
	}
	defer func() {
		for _, x := range proxies {
			x.close()
		}
	}()
	defer p.poll.close()
	target := pick(r, 2000, 150)
	r.note(check.Event{What: check.Target, N: float64(target)})
	list, err := r.submitUntil(ctx, p, func(ctx context.Context) error { return await(ctx, int64(target), proxies...) })
	if err != nil {
		return err
	}
	for _, x := range proxies {
		x.calm.Store(true)
	}
	if err := r.conclude(ctx, p, list, pick(r, time.Minute, 15*time.Second)); err != nil {
		return err
	}
	return r.drain(ctx, b, time.Minute, r.short)
}

// startCut starts two nodes, each of which reaches beanstalkd through a proxy.
func (r *rig) startCut(ctx context.Context, b *server) (*pair, []*proxy, error) {
	at, err := r.shared("", "work")
	if err != nil {
		return nil, nil, err
	}
	p := &pair{beanstalkd: b}
	var proxies []*proxy
	for _, name := range []string{"node1", "node2"} {
		x, err := r.proxy(name, b.addr)
		if err != nil {
			return nil, nil, err
		}
		proxies = append(proxies, x)
		at.beanstalkd = x.addr()
		n, err := r.node(name, at, 2, nil)
		if err != nil {
			return nil, nil, err
		}
		if err := n.up(ctx); err != nil {
			return nil, nil, err
		}
		p.nodes = append(p.nodes, n)
	}
	p.poll = r.startPolling(ctx, 3, 4*time.Millisecond, p.nodes...)
	return p, proxies, nil
}

// submitUntil submits jobs at a steady pace until enough says that it is enough.
func (r *rig) submitUntil(ctx context.Context, p *pair, enough func(context.Context) error) ([]*job, error) {
	const batch, every = 40, time.Second
	chance := r.random("jobs")
	l := &load{rig: r, poll: p.poll, nodes: p.nodes, inbox: p.beanstalkd.addr}
	done := make(chan error, 1)
	go func() { done <- enough(ctx) }()
	var all []*job
	for {
		list := r.jobs(chance, batch)
		all = append(all, list...)
		l.submit(ctx, list, every)
		select {
		case err := <-done:
			return all, err
		default:
		}
	}
}
