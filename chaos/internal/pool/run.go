package pool

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// Faults has a client that knows the balancer and the beanstalkds put jobs, while everything
// is killed, stopped and cut off.
func Faults(ctx context.Context, bed *testbed.Testbed) error {
	p, err := start(ctx, bed)
	if err != nil {
		return err
	}
	defer p.poll.Close()
	list := jobsOf(bed, bed.Random("jobs"), testbed.Pick(bed, 5000, 500))
	over := testbed.Pick(bed, 8*time.Minute, 40*time.Second)
	during, stop := context.WithTimeout(ctx, over)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- p.faultsUntil(ctx, during) }()
	watched := make(chan struct{})
	go func() { defer close(watched); p.watchInboxes(during) }()
	visit := p.startVisits(during, list)
	p.submit(ctx, list, over)
	visit()
	if err := <-done; err != nil {
		return err
	}
	<-watched
	return p.conclude(ctx, list)
}

func start(ctx context.Context, bed *testbed.Testbed) (p *pool, err error) {
	p = &pool{bed: bed}
	names := append(append([]string{check.Balancer, check.Database, store}, nodes...), beanstalkds...)
	if p.network, err = newNetwork(bed, names...); err != nil {
		return nil, err
	}
	if p.services, err = startServices(ctx, bed); err != nil {
		return nil, err
	}
	if p.nodes, err = p.newNodes(bed, 2); err != nil {
		return nil, err
	}
	for _, n := range p.nodes {
		if err := n.Up(ctx); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(p.ready(ctx, p.nodes...), p.startBalancer(ctx, bed)); err != nil {
		return nil, err
	}
	p.poll = bed.StartPolling(ctx, 3, 10*time.Millisecond, p.balancer)
	return p, nil
}

// jobsOf returns jobs. One of 20 has a result that is an object of the store.
func jobsOf(bed *testbed.Testbed, rng *rand.Rand, n int) []*testbed.Job {
	list := make([]*testbed.Job, n)
	for i := range list {
		t := testbed.Task{MS: rng.IntN(60), Pad: rng.IntN(3000)}
		switch rng.IntN(20) {
		case 0:
			t.MS *= 10
		case 1:
			t.Fails = 1
		case 2:
			t.Pad = testbed.LargePad
		}
		list[i] = bed.TaskJob(rng, "work", t)
	}
	return list
}

// submit sends a third of the jobs to the balancer, and puts a third on each beanstalkd.
func (p *pool) submit(ctx context.Context, list []*testbed.Job, over time.Duration) {
	parts := make([][]*testbed.Job, len(p.beanstalkds))
	for i, j := range list {
		parts[i%len(parts)] = append(parts[i%len(parts)], j)
	}
	var loads sync.WaitGroup
	for i, b := range p.beanstalkds {
		load := &testbed.Load{Bed: p.bed, Poll: p.poll, Nodes: []*testbed.Node{p.balancer}, Inbox: b.Addr, Array: 4}
		loads.Go(func() { load.Submit(ctx, parts[i], over) })
	}
	loads.Wait()
}

// watchInboxes records how many documents wait, from time to time.
func (p *pool) watchInboxes(ctx context.Context) {
	for testbed.Sleep(ctx, 100*time.Millisecond) {
		p.countInboxes()
	}
}

// countInboxes records the sum, with the time of the first request. A server that does not
// answer may have some.
func (p *pool) countInboxes() {
	asked, sum := time.Now().UnixNano(), 0
	for _, b := range p.beanstalkds {
		c, err := testbed.DialBeanstalkd(b.Addr)
		if err != nil {
			return
		}
		n, _, err := c.Count(testbed.Inbox)
		c.Close()
		if err != nil {
			return
		}
		sum += n
	}
	p.bed.History.Note(check.Event{T: asked, What: check.Inbox, Who: testbed.Inbox, N: float64(sum)})
}

// conclude waits for all jobs to end without more faults, and reads each result again after
// the disks of all nodes were deleted.
func (p *pool) conclude(ctx context.Context, list []*testbed.Job) error {
	p.bed.History.Note(check.Event{What: check.Calm})
	if err := p.ready(ctx, p.nodes...); err != nil {
		return err
	}
	p.countInboxes()
	p.poll.AwaitEnds(ctx, testbed.Pick(p.bed, time.Minute, 20*time.Second))
	for _, n := range p.nodes {
		if err := p.deleteDiskOf(ctx, n); err != nil {
			return err
		}
	}
	p.poll.Close()
	p.poll.ReadAll(ctx, list)
	if ctx.Err() != nil {
		return errors.New("the time of the scenario is over")
	}
	return nil
}
