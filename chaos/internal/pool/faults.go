package pool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

const (
	// longest is the longest time of a node without its process or network: longer than its
	// lease.
	longest = 8 * time.Second
	// brief is the longest time of what all nodes need. With it away requests fail.
	brief = 1500 * time.Millisecond
)

// fault does something to the pool and mends it.
type fault struct {
	name string
	do   func(p *pool, ctx context.Context, rng *rand.Rand) error
}

var faults = []fault{
	{"a node is killed", (*pool).killNode},
	{"a node is killed and its disk is deleted", (*pool).deleteDisk},
	{"a node is stopped", (*pool).stopNode},
	{"a node is cut off", (*pool).cutOff},
	{"a node is cut off in one direction", (*pool).cutOneWay},
	{"a beanstalkd is killed and its disk is deleted", (*pool).killBeanstalkd},
	{"PostgreSQL crashes", (*pool).crashDatabase},
	{"the store is killed", (*pool).killStore},
	{"the balancer is killed", (*pool).killBalancer},
}

// faultsUntil has one fault after the other until during ends, each kind as often as the
// others.
func (p *pool) faultsUntil(ctx, during context.Context) error {
	rng := p.bed.Random("faults")
	counts := map[string]int{}
	for {
		for _, i := range rng.Perm(len(faults)) {
			if !testbed.Sleep(during, time.Duration(200+rng.IntN(600))*time.Millisecond) {
				p.bed.History.Logf("faults: %v", counts)
				return nil
			}
			f := faults[i]
			p.bed.History.Logf("fault: %s", f.name)
			counts[f.name]++
			if err := f.do(p, ctx, rng); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
}

func pause(ctx context.Context, rng *rand.Rand, most time.Duration) {
	testbed.Sleep(ctx, time.Duration(rng.Int64N(int64(most))))
}

func (p *pool) anyNode(rng *rand.Rand) *testbed.Node { return p.nodes[rng.IntN(len(p.nodes))] }

func (p *pool) killNode(ctx context.Context, rng *rand.Rand) error {
	n := p.anyNode(rng)
	n.Process.Kill()
	pause(ctx, rng, longest)
	return errors.Join(n.Up(ctx), p.ready(ctx, n))
}

func (p *pool) deleteDisk(ctx context.Context, rng *rand.Rand) error {
	return p.deleteDiskOf(ctx, p.anyNode(rng))
}

// deleteDiskOf takes a node's data. Its results are in the ledger and the store. What it has
// not reported yet runs again.
func (p *pool) deleteDiskOf(ctx context.Context, n *testbed.Node) error {
	n.Process.Kill()
	if err := os.RemoveAll(n.Data); err != nil {
		return err
	}
	if err := os.Mkdir(n.Data, 0o755); err != nil {
		return err
	}
	return errors.Join(n.Up(ctx), p.ready(ctx, n))
}

func (p *pool) stopNode(ctx context.Context, rng *rand.Rand) error {
	n := p.anyNode(rng)
	n.Process.Pause()
	pause(ctx, rng, longest)
	n.Process.Resume()
	return p.ready(ctx, n)
}

func (p *pool) cutOff(ctx context.Context, rng *rand.Rand) error    { return p.cut(ctx, rng, false) }
func (p *pool) cutOneWay(ctx context.Context, rng *rand.Rand) error { return p.cut(ctx, rng, true) }

func (p *pool) cut(ctx context.Context, rng *rand.Rand, oneWay bool) error {
	n := p.anyNode(rng)
	name := n.Process.Name
	p.bed.History.Note(check.Event{What: check.Stop, Who: name, Text: "cut off"})
	err := p.network.cut(name, oneWay)
	pause(ctx, rng, longest)
	err = errors.Join(err, p.network.mend(name, oneWay), p.ready(ctx, n))
	p.bed.History.Note(check.Event{What: check.Continue, Who: name, Text: "not cut off"})
	return err
}

func (p *pool) killBeanstalkd(ctx context.Context, rng *rand.Rand) error {
	b := p.beanstalkds[rng.IntN(len(p.beanstalkds))]
	b.Process.Kill()
	if err := b.DeleteBinlog(); err != nil {
		return err
	}
	pause(ctx, rng, longest)
	return b.Up(ctx)
}

func (p *pool) crashDatabase(ctx context.Context, rng *rand.Rand) error {
	p.database.Crash()
	pause(ctx, rng, brief)
	return errors.Join(p.database.Up(ctx), p.ready(ctx, p.nodes...))
}

func (p *pool) killStore(ctx context.Context, rng *rand.Rand) error {
	p.store.Kill()
	pause(ctx, rng, brief)
	return errors.Join(p.store.Start(), p.storeAnswers(ctx, p.bed), p.ready(ctx, p.nodes...))
}

func (p *pool) killBalancer(ctx context.Context, rng *rand.Rand) error {
	p.balancer.Process.Kill()
	pause(ctx, rng, brief)
	return p.balancerUp(ctx, p.bed)
}
