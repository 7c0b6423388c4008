package main

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// killTest kills nodes, beanstalkd and, if the ledger is there, PostgreSQL at random.
type killTest struct {
	deleteBinlog, noReconciler, postgres bool
}

func (k killTest) run(ctx context.Context, bed *testbed.Testbed) error {
	settings := map[string]string{"LEASE": testbed.Pick(bed, "20s", "5s")}
	patience := testbed.Pick(bed, time.Minute, 15*time.Second)
	if k.noReconciler {
		bed.Bin = filepath.Join(bed.Dir, "runnerbean-no-reconciler")
		if err := testbed.Build(ctx, bed.Bin, "-tags", "no_reconciler"); err != nil {
			return err
		}
		patience = testbed.Pick(bed, 30*time.Second, 4*time.Second)
	}
	database, err := k.startDatabase(ctx, bed, settings)
	if err != nil {
		return err
	}
	p, err := startCluster(ctx, bed, 2, settings)
	if err != nil {
		return err
	}
	p.database = database
	defer p.poll.Close()
	list := mixedJobs(bed, bed.Random("jobs"), testbed.Pick(bed, k.jobs(), 400))
	over := testbed.Pick(bed, 5*time.Minute, 10*time.Second)
	killed := make(chan error, 1)
	killing, stop := context.WithTimeout(ctx, over)
	defer stop()
	go func() { killed <- k.killUntil(ctx, killing, bed, p) }()
	watch := watchInbox(killing, bed, p.beanstalkd)
	(&testbed.Load{Bed: bed, Poll: p.poll, Nodes: p.nodes, Inbox: p.beanstalkd.Addr, Array: 4}).Submit(ctx, list, over)
	if err := <-killed; err != nil {
		return err
	}
	<-watch
	return conclude(ctx, bed, p, list, patience)
}

// killUntil kills a random process every half second and restarts it, until
// killing ends. All processes run when it returns.
func (k killTest) killUntil(ctx, killing context.Context, bed *testbed.Testbed, p *cluster) error {
	rng := bed.Random("kills")
	for testbed.Sleep(killing, 500*time.Millisecond) {
		if err := k.killOne(ctx, bed, p, rng); err != nil {
			return err
		}
		if err := p.supervise(); err != nil {
			return err
		}
	}
	return nil
}

// jobs returns how many jobs the full form has. With PostgreSQL away for half of the time, the
// nodes run fewer.
func (k killTest) jobs() int {
	if k.postgres {
		return 4000
	}
	return 10_000
}

// startDatabase starts PostgreSQL and sets it as the ledger of the nodes, if the ledger is to
// be there.
func (k killTest) startDatabase(ctx context.Context, bed *testbed.Testbed, settings map[string]string) (*testbed.Database, error) {
	if !k.postgres {
		return nil, nil
	}
	d, err := bed.NewDatabase(check.Database)
	if err != nil {
		return nil, err
	}
	settings["LEDGER"] = d.URL
	return d, d.Up(ctx)
}

// crashDatabase crashes PostgreSQL and starts it after up to two seconds. All nodes are up
// before, because one that finds no database at its start ends.
func (p *cluster) crashDatabase(ctx context.Context, rng *rand.Rand) error {
	for _, n := range p.nodes {
		if err := n.Ready(ctx); err != nil {
			return err
		}
	}
	p.database.Crash()
	testbed.Sleep(ctx, time.Duration(rng.IntN(2000))*time.Millisecond)
	return p.database.Up(ctx)
}

func (k killTest) killOne(ctx context.Context, bed *testbed.Testbed, p *cluster, rng *rand.Rand) error {
	if k.postgres && rng.IntN(3) == 0 {
		return p.crashDatabase(ctx, rng)
	}
	if i := rng.IntN(len(p.nodes) + 1); i < len(p.nodes) {
		n := p.nodes[i]
		n.Process.Kill()
		if err := n.Process.Start(); err != nil {
			return err
		}
		bed.Background.Go(func() {
			if err := n.Ready(ctx); err != nil {
				bed.History.Logf("%v", err)
			}
		})
		return nil
	}
	p.beanstalkd.Process.Kill()
	if k.deleteBinlog {
		if err := p.beanstalkd.DeleteBinlog(); err != nil {
			return err
		}
	}
	return p.beanstalkd.Process.Start()
}
