package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// FileCommit is the commit of release 0.1.0, the last one before PostgreSQL and buckets. A test of
// an upgrade is worth nothing with another one, so that it fails where the history does not
// have it.
const FileCommit = "6d50e07de5ddea4ee4b7df374133bfa98ed0d20d"

// Builds are made before the time of Upgrade begins.
var Builds = []func(context.Context, *testbed.Builds) (string, error){
	func(ctx context.Context, b *testbed.Builds) (string, error) { return b.At(ctx, FileCommit) },
	func(ctx context.Context, b *testbed.Builds) (string, error) { return b.Next(ctx) },
}

// Upgrade replaces the programs of two pools node by node, while clients put jobs: one with a
// file as its ledger and a folder as its store, from FileCommit to the present; one with
// PostgreSQL and a bucket, from the present to a version with another additive migration.
func Upgrade(ctx context.Context, bed *testbed.Testbed) error {
	at, err := bed.NewShared("", "work")
	if err != nil {
		return err
	}
	settings, err := serverSettings(ctx, bed)
	if err != nil {
		return err
	}
	old, err := bed.Config.Builds.At(ctx, FileCommit)
	if err != nil {
		return err
	}
	next, err := bed.Config.Builds.Next(ctx)
	if err != nil {
		return err
	}
	var pools sync.WaitGroup
	var errFile, errServer error
	pools.Go(func() {
		u := &upgrade{from: FileCommit[:8], old: old, new: bed.Bin, next: next}
		errFile = u.run(ctx, bed, at, map[string]string{})
	})
	pools.Go(func() {
		u := &upgrade{from: "today", old: bed.Bin, new: next, next: next}
		errServer = u.run(ctx, bed, at, settings)
	})
	pools.Wait()
	return errors.Join(errFile, errServer)
}

// serverSettings starts PostgreSQL and a store.
func serverSettings(ctx context.Context, bed *testbed.Testbed) (map[string]string, error) {
	var s services
	var err error
	if s.database, err = bed.NewDatabase(check.Database); err != nil {
		return nil, err
	}
	if err := errors.Join(s.database.Up(ctx), s.startStore(ctx, bed)); err != nil {
		return nil, err
	}
	return map[string]string{"LEDGER": s.database.URL, "STORE": s.bucketURL()}, nil
}

// upgrade is one pool that is upgraded.
type upgrade struct {
	pool
	from           string // the name of the old version
	old, new, next string // programs; next has an additive migration that old has not
	ledger         string
	runs           testbed.HistoryReader
	mixed          map[bool]int // runs while both versions worked, by whether the node was old
	isOld          map[string]bool
}

func (u *upgrade) run(ctx context.Context, bed *testbed.Testbed, at testbed.Shared, settings map[string]string) error {
	u.bed, u.runs = bed, testbed.HistoryReader{Path: bed.History.Path}
	u.mixed, u.isOld = map[bool]int{}, map[string]bool{}
	if err := u.start(ctx, at, settings); err != nil {
		return fmt.Errorf("from %s: %w", u.from, err)
	}
	defer u.poll.Close()
	list, err := u.underLoad(ctx, u.replaceAll)
	if err != nil {
		return fmt.Errorf("from %s: %w", u.from, err)
	}
	bed.History.MeasureLeast("runs on nodes of "+u.from+" beside newer ones", float64(u.mixed[true]), 20)
	bed.History.MeasureLeast("runs on newer nodes beside those of "+u.from, float64(u.mixed[false]), 20)
	bed.History.Note(check.Event{What: check.Calm})
	u.poll.AwaitEnds(ctx, time.Minute)
	u.poll.Close()
	u.poll.ReadAll(ctx, list)
	return ctx.Err()
}

// start starts three nodes of the old version, with names and a beanstalkd of their own.
func (u *upgrade) start(ctx context.Context, at testbed.Shared, settings map[string]string) error {
	b, err := u.bed.NewServer("beanstalkd-" + u.from)
	if err != nil {
		return err
	}
	if err := b.Up(ctx); err != nil {
		return err
	}
	u.beanstalkds = []*testbed.Server{b}
	settings = maps.Clone(settings)
	// A node that is stopped in good order ends its jobs, however busy the machine is.
	settings["LEASE"], settings["SHUTDOWN_GRACE"] = lease, "1m"
	at.Beanstalkd, u.ledger = b.Addr, cmp.Or(settings["LEDGER"], "sqlite:"+at.Ledger)
	for _, name := range nodes {
		n, err := u.bed.NewNode(name+"-"+u.from, at, 2, settings)
		if err != nil {
			return err
		}
		n.Process.Setenv(keys)
		u.nodes = append(u.nodes, n)
		if err := u.startWith(ctx, n, u.old); err != nil {
			return err
		}
	}
	u.poll = u.bed.StartPolling(ctx, 2, 10*time.Millisecond, u.nodes...)
	return nil
}

// startWith starts a node with a program, and demands that it takes work.
func (u *upgrade) startWith(ctx context.Context, n *testbed.Node, program string) error {
	n.Process.Use(program)
	u.isOld[n.Process.Name] = program == u.old
	if err := n.Up(ctx); err != nil {
		return err
	}
	if !n.Process.Alive() {
		return fmt.Errorf("%s has ended: see its log %s", n.Process.Name, n.Process.LogFile())
	}
	return nil
}

// underLoad submits jobs at a steady rate while do runs, and returns them.
func (u *upgrade) underLoad(ctx context.Context, do func(context.Context) error) (all []*testbed.Job, err error) {
	const batch, every = 24, time.Second
	load := &testbed.Load{Bed: u.bed, Poll: u.poll, Nodes: u.nodes, Inbox: u.beanstalkds[0].Addr, Array: 4}
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	rng := u.bed.Random("jobs-" + u.from)
	for {
		list := jobsOf(u.bed, rng, batch)
		all = append(all, list...)
		load.Submit(ctx, list, every)
		select {
		case err := <-done:
			return all, err
		default:
		}
	}
}

// replaceAll replaces the program of one node after the other. Nodes of the next version run
// an additive migration beside old ones. One node goes back to the old version on the tables
// that were changed.
func (u *upgrade) replaceAll(ctx context.Context) error {
	a, b, c := u.nodes[0], u.nodes[1], u.nodes[2]
	for _, step := range []struct {
		node    *testbed.Node
		kill    bool
		program string
	}{
		{a, false, u.new},
		{b, true, u.next},
		{b, false, u.old},
		{c, true, u.new},
		{b, false, u.new},
	} {
		if err := u.allRun(ctx); err != nil {
			return err
		}
		if step.kill {
			step.node.Process.Kill()
		} else {
			step.node.Process.Terminate(90 * time.Second)
		}
		if err := u.startWith(ctx, step.node, step.program); err != nil {
			return err
		}
		if step.program == u.next {
			if err := u.changed(ctx); err != nil {
				return err
			}
		}
	}
	return u.allRun(ctx)
}

// changed demands that the additive migration has run.
func (u *upgrade) changed(ctx context.Context) error {
	n, err := testbed.Number(ctx, u.ledger, testbed.AdditionsQuery)
	if err == nil && n < len(u.nodes) {
		err = fmt.Errorf("%d nodes, want %d", n, len(u.nodes))
	}
	if err != nil {
		err = fmt.Errorf("the next version has not changed the tables: %w", err)
	}
	return err
}

// allRun waits until each node has run some jobs from now on.
func (u *upgrade) allRun(ctx context.Context) error {
	const some = 8
	if _, err := u.runs.Next(); err != nil {
		return err
	}
	count := map[string]int{}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var failed error
	err := testbed.Until(ctx, 50*time.Millisecond, "all nodes run jobs", func() bool {
		events, err := u.runs.Next()
		for _, e := range events {
			if e.What == check.Run {
				count[e.Who]++
			}
		}
		failed = err
		return err != nil || !slices.ContainsFunc(u.nodes, func(n *testbed.Node) bool { return count[n.Process.Name] < some })
	})
	u.countMixed(count)
	if err != nil {
		err = fmt.Errorf("%w: runs %v", err, count)
	}
	return errors.Join(err, failed)
}

// countMixed adds the runs of a time in which nodes of the old and of another version worked.
func (u *upgrade) countMixed(count map[string]int) {
	runs, versions := map[bool]int{}, map[bool]bool{}
	for _, n := range u.nodes {
		old := u.isOld[n.Process.Name]
		versions[old] = true
		runs[old] += count[n.Process.Name]
	}
	if len(versions) == 2 {
		u.mixed[true] += runs[true]
		u.mixed[false] += runs[false]
	}
}
