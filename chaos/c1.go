package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

func init() {
	register(scenario{
		name: "c1", title: "nodes and beanstalkd are killed at random, beanstalkd keeps its binlog",
		run: func(ctx context.Context, r *rig) error { return killing{}.run(ctx, r) },
	})
	register(scenario{
		name: "c2", title: "the same, and beanstalkd's binlog is deleted at each of its kills",
		run: func(ctx context.Context, r *rig) error { return killing{wipe: true}.run(ctx, r) },
	})
	register(scenario{
		name: "c3", title: "the same with the reconciler off: the checker must see loss",
		run: func(ctx context.Context, r *rig) error {
			return killing{wipe: true, hopeless: true}.run(ctx, r)
		},
	})
}

// pair is two nodes over one ledger, one store and one beanstalkd.
type pair struct {
	beanstalkd *server
	nodes      []*node
	poll       *poller
}

// startPair starts two nodes, with a poller that reads through both.
func (r *rig) startPair(ctx context.Context, slots int, settings map[string]string) (*pair, error) {
	b, err := r.beanstalkd("beanstalkd")
	if err != nil {
		return nil, err
	}
	if err := b.up(ctx); err != nil {
		return nil, err
	}
	return r.startNodes(ctx, b, b.addr, slots, settings, settings)
}

// startNodes starts a node for each group of settings, which reach the server
// at an address.
func (r *rig) startNodes(ctx context.Context, b *server, addr string, slots int, settings ...map[string]string) (*pair, error) {
	at, err := r.shared(addr, "work")
	if err != nil {
		return nil, err
	}
	p := &pair{beanstalkd: b}
	for i, own := range settings {
		n, err := r.node("node"+string(rune('1'+i)), at, slots, own)
		if err != nil {
			return nil, err
		}
		if err := n.up(ctx); err != nil {
			return nil, err
		}
		p.nodes = append(p.nodes, n)
	}
	p.poll = r.startPolling(ctx, 3, 4*time.Millisecond, p.nodes...)
	return p, nil
}

// jobs makes jobs of which most are very short and some fail at first, so that
// their messages are put off.
func (r *rig) jobs(chance *rand.Rand, n int) []*job {
	list := make([]*job, n)
	for i := range list {
		t := task{MS: chance.IntN(30), Pad: chance.IntN(3000)}
		switch chance.IntN(20) {
		case 0:
			t.MS *= 10
		case 1:
			t.Fails = 1
		}
		list[i] = r.jobFor(chance, "work", t)
	}
	return list
}

// killing is C1 to C3.
type killing struct {
	wipe, hopeless bool
}

func (k killing) run(ctx context.Context, r *rig) error {
	settings := map[string]string{"LEASE": pick(r, "20s", "5s")}
	patience := pick(r, time.Minute, 15*time.Second)
	if k.hopeless {
		r.bin = filepath.Join(r.dir, "runnerbean-no-reconciler")
		if err := build(ctx, r.bin, "-tags", "no_reconciler"); err != nil {
			return err
		}
		patience = pick(r, 30*time.Second, 4*time.Second)
	}
	p, err := r.startPair(ctx, 2, settings)
	if err != nil {
		return err
	}
	defer p.poll.close()
	list := r.jobs(r.random("jobs"), pick(r, 10_000, 400))
	over := pick(r, 5*time.Minute, 10*time.Second)
	killed := make(chan error, 1)
	fire, cease := context.WithTimeout(ctx, over)
	defer cease()
	go func() { killed <- k.fire(ctx, fire, r, p) }()
	watch := r.watchInbox(fire, p.beanstalkd)
	(&load{rig: r, poll: p.poll, nodes: p.nodes, inbox: p.beanstalkd.addr}).submit(ctx, list, over)
	if err := <-killed; err != nil {
		return err
	}
	<-watch
	return r.conclude(ctx, p, list, patience)
}

// fire kills a process at random every half second, and starts it again at
// once, until fire ends. All run when it returns.
func (k killing) fire(ctx, fire context.Context, r *rig, p *pair) error {
	chance := r.random("kills")
	for sleep(fire, 500*time.Millisecond) {
		if err := k.shot(ctx, r, p, chance); err != nil {
			return err
		}
		if err := p.supervise(); err != nil {
			return err
		}
	}
	return nil
}

// supervise starts a node that has ended by itself, as systemd would.
func (p *pair) supervise() error {
	for _, n := range p.nodes {
		if !n.alive() {
			if err := n.start(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k killing) shot(ctx context.Context, r *rig, p *pair, chance *rand.Rand) error {
	if victim := chance.IntN(len(p.nodes) + 1); victim < len(p.nodes) {
		n := p.nodes[victim]
		n.kill()
		if err := n.start(); err != nil {
			return err
		}
		r.background.Go(func() {
			if err := n.ready(ctx); err != nil {
				r.say("%v", err)
			}
		})
		return nil
	}
	p.beanstalkd.kill()
	if k.wipe {
		if err := p.beanstalkd.wipe(); err != nil {
			return err
		}
	}
	return p.beanstalkd.start()
}

// watchInbox records how many documents the inbox has, again and again.
func (r *rig) watchInbox(ctx context.Context, b *server) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, 50*time.Millisecond) {
			r.countInbox(b)
		}
	}()
	return done
}

// countInbox records the time before the question, so that a document that came
// while it was answered is not taken for one that was in there.
func (r *rig) countInbox(b *server) {
	asked := time.Now().UnixNano()
	c, err := dialBeanstalkd(b.addr)
	if err != nil {
		return
	}
	defer c.close()
	if n, _, err := c.messages(inbox); err == nil {
		r.note(check.Event{T: asked, What: check.Inbox, Who: b.name, N: float64(n)})
	}
}

// conclude waits for all jobs to end, with no more harm done, as long as one
// does within patience, and looks at each of them once more through every node.
func (r *rig) conclude(ctx context.Context, p *pair, list []*job, patience time.Duration) error {
	r.note(check.Event{What: check.Calm})
	if err := p.supervise(); err != nil {
		return err
	}
	for _, n := range p.nodes {
		if err := n.ready(ctx); err != nil {
			r.say("%s does not answer: %v", n.name, err)
		}
	}
	r.countInbox(p.beanstalkd)
	p.poll.settle(ctx, patience)
	p.poll.close()
	p.poll.sweep(ctx, list)
	if ctx.Err() != nil {
		return errors.New("the time of the scenario is over")
	}
	return nil
}
