package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/firstyear"
	"github.com/runnerbean/runnerbean/chaos/internal/pool"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// scenarios are all scenarios in the order in which they run.
var scenarios = []scenario{
	{
		name: "c1", title: "nodes and beanstalkd are killed at random, beanstalkd keeps its binlog",
		run: killTest{}.run,
	},
	{
		name: "c2", title: "the same, and beanstalkd's binlog is deleted at each of its kills",
		run: killTest{deleteBinlog: true}.run,
	},
	{
		name: "c3", title: "the same with the reconciler off: the checker must see loss",
		run: killTest{deleteBinlog: true, noReconciler: true}.run,
	},
	{
		name: "c4", title: "each system call between a program's exit and the end of its job is killed, or fails, once",
		run: killAtEachSyscall,
	},
	{
		name: "c5", title: "a node is stopped past its lease, another runs its jobs, the first goes on",
		run: staleNode,
	},
	{
		name: "c6", title: "hostile children: they run off, will not end, flood, fill, multiply",
		run: hostileChildren,
	},
	{
		name: "c7", title: "connections between nodes and beanstalkd are cut at random bytes",
		run: cutConnections,
	},
	{
		name: "c8", title: "the disk of the store, of the ledger, of beanstalkd's binlog is full for a while",
		run: fullDisks,
	},
	{
		name: "c9", title: "the clocks of beanstalkd and of both nodes are moved by up to two hours",
		builds: []build{today}, run: moveAllClocks,
	},
	{
		name: "c10", title: "a million queued jobs of a program whose node is away",
		limit: 12 * time.Minute, shortLimit: 90 * time.Second, run: manyQueued,
	},
	{
		name: "c11", title: "two thousand slow and idle HTTP clients, and two hundred event streams",
		run: slowClients,
	},
	{
		name: "c12", title: "nodes are upgraded from two old versions, then while they run, and killed meanwhile",
		shortLimit: 5 * time.Minute,
		builds:     []build{today, firstyear.BuildOld, firstyear.BuildOlder}, run: firstyear.Upgrade,
	},
	{
		name: "c13", title: "jobs are deleted after hours of a moved clock, and nodes are killed meanwhile",
		limit: 20 * time.Minute, shortLimit: 5 * time.Minute,
		builds: []build{today}, run: firstyear.Retention,
	},
	{
		name: "c14", title: "a year of a moved clock: upgrades, backups, restores, and a disk that is nearly full",
		limit: 40 * time.Minute, shortLimit: 4 * time.Minute,
		builds: []build{today, firstyear.BuildOld}, run: firstyear.Year,
	},
	{
		name: "c15", title: "stream programs under the same kills, and their processes are killed, too",
		run: killStreams,
	},
	{
		name: "c16", title: "the ledger is in PostgreSQL: it crashes, and nodes and beanstalkd are killed at random",
		limit: 15 * time.Minute, run: killTest{postgres: true}.run,
	},
	{
		name: "c17", title: "a pool: nodes, beanstalkds, PostgreSQL, the store and the balancer, each on a network of its own, are killed, stopped and cut off",
		limit: 15 * time.Minute, shortLimit: 3 * time.Minute, run: pool.Faults,
	},
	{
		name: "c18", title: "pools are upgraded node by node under load, from release 0.1.0 and from today's, and back",
		limit: 5 * time.Minute, shortLimit: 5 * time.Minute, builds: pool.Builds, run: pool.Upgrade,
	},
}

type build = func(ctx context.Context, builds *testbed.Builds) (path string, err error)

func today(ctx context.Context, b *testbed.Builds) (string, error) { return b.Today(ctx) }

// scenario drives a system and records what it does and sees.
type scenario struct {
	name  string // as on the command line and in the history
	title string
	// limit and shortLimit bound the full and the short form. Default 10 minutes
	// and 60 s.
	limit, shortLimit time.Duration
	// builds are made before the time of the limit begins.
	builds []build
	// run returns an error if the scenario could not be carried out. The
	// checker finds the faults of the product.
	run func(ctx context.Context, bed *testbed.Testbed) error
}

func (s scenario) timeout(short bool) time.Duration {
	full, brief := s.limit, s.shortLimit
	if full == 0 {
		full = 10 * time.Minute
	}
	if brief == 0 {
		brief = time.Minute
	}
	if short {
		return brief
	}
	return full
}

// programs are what jobs run. A node starts this binary as one of them.
var programs = map[string]testbed.Program{
	"work": testbed.Work, "gated": gated, "hostile": hostile, "hog": hostile, "hung": hostile, "fill": hostile,
}

func choose(names []string) ([]scenario, error) {
	if len(names) == 0 {
		return scenarios, nil
	}
	var chosen []scenario
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is no scenario; -h lists them", name)
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}
