package firstyear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// upgrade is one pool that is upgraded from an old program, and then again and again
// while its nodes run.
type upgrade struct {
	pool       *pool
	old, today string
	rng        *rand.Rand
	list       []*testbed.Job
}

// Upgrade upgrades a pool from each of the old commits.
func Upgrade(ctx context.Context, bed *testbed.Testbed) error {
	today, err := bed.Config.Builds.Today(ctx)
	if err != nil {
		return err
	}
	commits := []string{OldCommit, OlderCommit}
	errs := make([]error, len(commits))
	var wait sync.WaitGroup
	for i, commit := range commits {
		old, err := bed.Config.Builds.Old(ctx, commit)
		if err != nil {
			return err
		}
		wait.Go(func() {
			if err := upgradeFrom(ctx, bed, commit, old, today); err != nil {
				errs[i] = fmt.Errorf("from %s: %w", commit, err)
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func upgradeFrom(ctx context.Context, bed *testbed.Testbed, commit, old, today string) error {
	folder, err := bed.Folder("from-" + commit)
	if err != nil {
		return err
	}
	p, err := newPool(bed, "-"+commit, folder, map[string]string{"LEASE": "3s", "SHUTDOWN_GRACE": "1s"})
	if err != nil {
		return err
	}
	if err := p.start(ctx, old); err != nil {
		return err
	}
	defer p.poll.Close()
	u := &upgrade{pool: p, old: old, today: today, rng: bed.Random(commit)}
	if err := u.fromOld(ctx); err != nil {
		return err
	}
	for range testbed.Pick(bed, 12, 2) {
		if err := u.next(ctx); err != nil {
			return err
		}
	}
	return u.pool.conclude(ctx, u.list, testbed.Pick(bed, time.Minute, 30*time.Second))
}

// submit submits jobs, some of which run for seconds, so that there are finished, running
// and queued ones.
func (u *upgrade) submit(ctx context.Context, n int) {
	list := make([]*testbed.Job, n)
	for i := range list {
		work := time.Duration(u.rng.IntN(60)) * time.Millisecond
		if u.rng.IntN(8) == 0 {
			work = time.Duration(1+u.rng.IntN(2)) * time.Second
		}
		list[i] = u.pool.bed.WorkJob(u.rng, "work", work, u.rng.IntN(3000))
	}
	u.list = append(u.list, list...)
	u.pool.load().Submit(ctx, list, 0)
}

// fromOld replaces the old nodes. As long as one of them lives, nothing may change the
// ledger under it: its jobs go on.
func (u *upgrade) fromOld(ctx context.Context) error {
	bed, one, two := u.pool.bed, u.pool.nodes[0], u.pool.nodes[1]
	u.submit(ctx, 40)
	operator, err := bed.NewNode("operator-"+filepath.Base(filepath.Dir(u.pool.at.Ledger)), u.pool.at, 0, nil)
	if err != nil {
		return err
	}
	u.pool.use(operator, u.today, 0)
	_, code := operator.Command(ctx, "migrate")
	bed.History.MeasureLeast("exit code of migrate while old nodes live", float64(code), 1)
	one.Process.Kill()
	u.pool.use(one, u.today, 0)
	if err := one.Process.Start(); err != nil {
		return err
	}
	one.Process.ExpectEnd(true) // it may refuse to start beside the old node
	if err := u.pool.works(ctx, two, 30*time.Second); err != nil {
		return fmt.Errorf("an old node beside a new one: %w", err)
	}
	u.submit(ctx, 20)
	two.Process.Kill()
	u.pool.use(two, u.today, 0)
	// The killed node counts as alive until its lease is over.
	if _, err := u.pool.command(ctx, operator, "migrate", "--wait", "1m"); err != nil {
		return err
	}
	one.Process.Kill()
	return u.pool.supervise(ctx)
}

// next replaces the nodes, one after the other, by the next version of the program. The
// node that is still of this version must leave, and strand no job. Nodes are killed at
// any moment.
func (u *upgrade) next(ctx context.Context) error {
	u.pool.schema++
	first := u.rng.IntN(2)
	for i := range u.pool.nodes {
		n, other := u.pool.nodes[(first+i)%2], u.pool.nodes[(first+i+1)%2]
		u.submit(ctx, 20)
		u.end(n)
		u.pool.use(n, u.today, u.pool.schema)
		other.Process.ExpectEnd(true) // it may, when it is too old
		if err := u.startKilled(ctx, n); err != nil {
			return err
		}
		if err := u.pool.works(ctx, n, time.Minute); err != nil {
			return fmt.Errorf("the next version beside this one: %w", err)
		}
	}
	return nil
}

// end ends a node in one of the ways that there are.
func (u *upgrade) end(n *testbed.Node) {
	if u.rng.IntN(2) == 0 {
		n.Process.Kill()
	} else {
		n.Process.Terminate(20 * time.Second)
	}
}

// startKilled starts a node, kills it while it migrates the ledger or begins to work,
// and starts it again.
func (u *upgrade) startKilled(ctx context.Context, n *testbed.Node) error {
	if u.rng.IntN(2) == 0 {
		if err := n.Process.Start(); err != nil {
			return err
		}
		testbed.Sleep(ctx, time.Duration(u.rng.IntN(400))*time.Millisecond)
		n.Process.Kill()
	}
	return up(ctx, n)
}
