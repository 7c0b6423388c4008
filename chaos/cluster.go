package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// submitUntil submits jobs at a steady rate until enough returns, and returns
// its error.
func submitUntil(ctx context.Context, bed *testbed.Testbed, p *cluster, enough func(context.Context) error) ([]*testbed.Job, error) {
	const batch, every = 40, time.Second
	rng := bed.Random("jobs")
	l := &testbed.Load{Bed: bed, Poll: p.poll, Nodes: p.nodes, Inbox: p.beanstalkd.Addr, Array: 4}
	done := make(chan error, 1)
	go func() { done <- enough(ctx) }()
	var all []*testbed.Job
	for {
		list := mixedJobs(bed, rng, batch)
		all = append(all, list...)
		l.Submit(ctx, list, every)
		select {
		case err := <-done:
			return all, err
		default:
		}
	}
}

// cluster is some nodes with one ledger, one store and one beanstalkd.
type cluster struct {
	beanstalkd *testbed.Server
	database   *testbed.Database // nil if the ledger is a file
	nodes      []*testbed.Node
	poll       *testbed.Poller
}

// startCluster starts beanstalkd and two nodes.
func startCluster(ctx context.Context, bed *testbed.Testbed, slots int, settings map[string]string) (*cluster, error) {
	b, err := bed.NewServer("beanstalkd")
	if err != nil {
		return nil, err
	}
	if err := b.Up(ctx); err != nil {
		return nil, err
	}
	return startNodes(ctx, bed, b, b.Addr, slots, settings, settings)
}

// startNodes starts a node for each group of settings. They reach beanstalkd b
// at addr. It also starts a poller.
func startNodes(ctx context.Context, bed *testbed.Testbed, b *testbed.Server, addr string, slots int, settings ...map[string]string) (*cluster, error) {
	at, err := bed.NewShared(addr, "work")
	if err != nil {
		return nil, err
	}
	p := &cluster{beanstalkd: b}
	for i, own := range settings {
		n, err := bed.NewNode("node"+string(rune('1'+i)), at, slots, own)
		if err != nil {
			return nil, err
		}
		if err := n.Up(ctx); err != nil {
			return nil, err
		}
		p.nodes = append(p.nodes, n)
	}
	p.poll = bed.StartPolling(ctx, 3, 4*time.Millisecond, p.nodes...)
	return p, nil
}

// mixedJobs returns jobs. Most are very short, and some fail at first, so that
// their messages are delayed.
func mixedJobs(bed *testbed.Testbed, rng *rand.Rand, n int) []*testbed.Job {
	list := make([]*testbed.Job, n)
	for i := range list {
		t := testbed.Task{MS: rng.IntN(30), Pad: rng.IntN(3000)}
		switch rng.IntN(20) {
		case 0:
			t.MS *= 10
		case 1:
			t.Fails = 1
		}
		list[i] = bed.TaskJob(rng, "work", t)
	}
	return list
}

// supervise starts nodes that have ended, as systemd would.
func (p *cluster) supervise() error {
	for _, n := range p.nodes {
		if !n.Process.Alive() {
			if err := n.Process.Start(); err != nil {
				return err
			}
		}
	}
	return nil
}

// watchInbox records the number of documents in the inbox until ctx ends. It
// closes the channel when it has ended.
func watchInbox(ctx context.Context, bed *testbed.Testbed, b *testbed.Server) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for testbed.Sleep(ctx, 50*time.Millisecond) {
			countInbox(bed, b)
		}
	}()
	return done
}

// countInbox records the number with the time of the request. A document that
// arrives before the answer so does not count as one of these.
func countInbox(bed *testbed.Testbed, b *testbed.Server) {
	asked := time.Now().UnixNano()
	c, err := testbed.DialBeanstalkd(b.Addr)
	if err != nil {
		return
	}
	defer c.Close()
	if n, _, err := c.Count(testbed.Inbox); err == nil {
		bed.History.Note(check.Event{T: asked, What: check.Inbox, Who: b.Process.Name, N: float64(n)})
	}
}

// conclude waits for all jobs to end, without more faults. It gives up when no
// job has ended for the time patience. Then it reads each result once more from
// every node.
func conclude(ctx context.Context, bed *testbed.Testbed, p *cluster, list []*testbed.Job, patience time.Duration) error {
	bed.History.Note(check.Event{What: check.Calm})
	if err := p.supervise(); err != nil {
		return err
	}
	for _, n := range p.nodes {
		if err := n.Ready(ctx); err != nil {
			bed.History.Logf("%s does not answer: %v", n.Process.Name, err)
		}
	}
	countInbox(bed, p.beanstalkd)
	p.poll.AwaitEnds(ctx, patience)
	p.poll.Close()
	p.poll.ReadAll(ctx, list)
	if ctx.Err() != nil {
		return errors.New("the time of the scenario is over")
	}
	return nil
}
