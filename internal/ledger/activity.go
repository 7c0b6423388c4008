package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// Activity is what ended in a span of time, in steps of equal length. Nodes and
// Programs both hold every end once: Nodes by node, Programs by program.
type Activity struct {
	From  time.Time // of the first step
	Step  time.Duration
	Steps int
	// Nodes is empty where one program was asked for: it is not counted by both.
	Nodes, Programs []Tally
	// Depth has one entry for each step.
	Depth []Depth
}

// Tally counts ends of one kind in one step of an [Activity].
type Tally struct {
	Step int
	// Node ran the attempt; "" in Programs, and where a job ended without one.
	Node string
	// Program is "" in Nodes, and for documents with a fault whose program no node
	// has announced.
	Program string
	// State is the job's final state; "" for an attempt after which the job went on.
	State jobs.State
	// Class is the outcome of the attempt, or why the job ended without one.
	Class jobs.Outcome
	N     int64
	// Run, CPU and Wait are sums: how long the attempts ran, the processor time
	// that they used, and how long their jobs had been ready to start.
	Run, CPU, Wait time.Duration
}

// Depth is the most jobs that were seen in a state during one step of an
// [Activity]; -1 where nobody looked.
type Depth struct {
	Queued, Running, Waiting int64
}

// grain is a length of steps in which ends are kept.
type grain struct {
	seconds int64
	span    time.Duration // the longest activity that is shown in it
	keep    time.Duration
}

// grains are all of them, the finest first. The last span is the longest that
// any activity may have.
var grains = []grain{
	{60, 6 * time.Hour, 26 * time.Hour},
	{600, 3 * 24 * time.Hour, 8 * 24 * time.Hour},
	{7200, 31 * 24 * time.Hour, 31 * 24 * time.Hour},
}

func (g grain) step() time.Duration { return time.Duration(g.seconds) * time.Second }

func grainOf(span time.Duration) grain {
	i := slices.IndexFunc(grains, func(g grain) bool { return span <= g.span+g.step() })
	if i < 0 {
		i = len(grains) - 1
	}
	return grains[i]
}

// What has not been rolled up yet is counted in; one statement sees each end in
// one of the two tables.
var (
	qByNode = engine.NewQuery(`SELECT at, name, state, class, n, run_us, cpu_us, wait_us FROM activity
		WHERE grain = ? AND axis = 'n' AND at >= ? AND at < ?
		UNION ALL SELECT at, node, state, class, n, run_us, cpu_us, wait_us FROM tallies WHERE at >= ? AND at < ?`)
	qByProgram = engine.NewQuery(`SELECT at, name, state, class, n, run_us, cpu_us, wait_us FROM activity
		WHERE grain = ? AND axis = 'p' AND at >= ? AND at < ? AND (? = '' OR name = ?)
		UNION ALL SELECT at, program, state, class, n, run_us, cpu_us, wait_us FROM tallies
		WHERE at >= ? AND at < ? AND (? = '' OR program = ?)`)
	qDepths = engine.NewQuery("SELECT at, queued, running, waiting FROM depths WHERE grain = ? AND at >= ? AND at < ?")
)

// Activity returns what ended from one time until another, of one program or,
// for "", of all: in steps of a minute up to 6 hours, of 10 minutes up to 3 days,
// and of 2 hours up to 31 days, which is as far as it is kept. The first step
// begins at or before from. It is read from counters, whatever the number of jobs.
func (l *Ledger) Activity(ctx context.Context, from, until time.Time, program string) (a Activity, err error) {
	defer l.watch("activity", time.Now(), &err)
	last := grains[len(grains)-1]
	from = engine.Later(from, until.Add(-last.span))
	g := grainOf(until.Sub(from))
	a = Activity{From: from.UTC().Truncate(g.step()), Step: g.step()}
	a.Steps = int(max(0, (until.Sub(a.From)+a.Step-1)/a.Step))
	start, end := engine.Micros(a.From), engine.Micros(a.From.Add(time.Duration(a.Steps)*a.Step))
	if program == "" {
		a.Nodes, err = l.tallies(ctx, &a, stepsKey{g.seconds, byNode}, start, end, "")
	}
	if err == nil {
		a.Programs, err = l.tallies(ctx, &a, stepsKey{g.seconds, byProgram}, start, end, program)
	}
	if err == nil {
		a.Depth, err = l.depths(ctx, &a, g.seconds, start, end)
	}
	if err != nil {
		return Activity{}, fmt.Errorf("ledger: activity: %w", err)
	}
	return a, nil
}

// tallies are the counters of the steps by an axis, of one program where one is named.
func (l *Ledger) tallies(ctx context.Context, a *Activity, k stepsKey, start, end int64, program string) ([]Tally, error) {
	old, fresh, err := l.counters(ctx, k, start, end, program)
	list := make([]Tally, 0, len(old)+len(fresh))
	for _, rows := range [][]counter{old, fresh} {
		for _, c := range rows {
			if program != "" && c.Program != program {
				continue
			}
			c.Step = a.step(c.at)
			if k.axis == byNode {
				c.Node, c.Program = c.Program, ""
			}
			list = append(list, c.Tally)
		}
	}
	return list, err
}

// step is the number of the step in which a time lies.
func (a *Activity) step(at int64) int {
	return int((at - engine.Micros(a.From)) / a.Step.Microseconds())
}

func (l *Ledger) depths(ctx context.Context, a *Activity, args ...any) ([]Depth, error) {
	list := slices.Repeat([]Depth{{-1, -1, -1}}, a.Steps)
	err := l.reader.Each(ctx, qDepths, args, func(r engine.Row) error {
		var at int64
		var d Depth
		if err := r.Scan(&at, &d.Queued, &d.Running, &d.Waiting); err != nil {
			return err
		}
		if i := a.step(at); i >= 0 && i < len(list) {
			list[i] = d
		}
		return nil
	})
	return list, err
}
