package publisher

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// mostLines is how many lines a plot has before the rest becomes one.
	mostLines = 8
)

func (p *Publisher) addQueue(ctx context.Context, o *api.Overview, _ lookback) error {
	drains, err := p.ops.Drains(ctx)
	if err != nil {
		return err
	}
	b, err := p.cfg.Ledger.Backlog(ctx)
	if err != nil {
		return err
	}
	o.Queue = api.Queue{
		Queued: b.Queued, Scheduled: b.Scheduled, Waiting: b.Waiting, Oldest: b.Oldest, Drained: drains.Queue, Programs: []api.ProgramQueue{},
	}
	for _, q := range b.Programs {
		o.Queue.Programs = append(o.Queue.Programs, queueOf(q))
	}
	return nil
}

func queueOf(b ledger.ProgramBacklog) api.ProgramQueue {
	return api.ProgramQueue{
		Program: b.Program, Queued: b.Queued, Scheduled: b.Scheduled, Running: b.Running, Waiting: b.Waiting,
		Oldest: b.Oldest, Due: b.Oldest,
	}
}

func (p *Publisher) addActivity(ctx context.Context, o *api.Overview, back lookback) error {
	a, err := p.cfg.Ledger.Activity.History(ctx, o.At.Add(-back.length), o.At, "")
	if err != nil {
		return err
	}
	o.Window = spanned(back, a)
	o.Ended, o.Failures, o.Unfinished = sums(a.Programs)
	o.FinishedByNode = lines(a, a.Nodes, o.At, func(t activity.Tally) string { return t.Node })
	o.FinishedByProgram = lines(a, a.Programs, o.At, func(t activity.Tally) string { return t.Program })
	o.Depth = depthLines(a.Depth)
	if back.length == time.Hour {
		o.LastHour, _, _ = sums(a.Programs)
		return nil
	}
	return p.addLastHour(ctx, o, back)
}

func (p *Publisher) addLastHour(ctx context.Context, o *api.Overview, _ lookback) error {
	hour, err := p.cfg.Ledger.Activity.History(ctx, o.At.Add(-time.Hour), o.At, "")
	o.LastHour, _, _ = sums(hour.Programs)
	return err
}

func spanned(back lookback, a activity.History) api.Window {
	return api.Window{
		Name: back.name, From: a.From, Until: a.From.Add(time.Duration(a.Steps) * a.Step), Step: a.Step.Seconds(),
	}
}

// sums counts ends of jobs by state, failures by class, and attempts that did
// not end their job by outcome.
func sums(list []activity.Tally) (ended map[jobs.State]int64, failures, unfinished map[jobs.Outcome]int64) {
	ended, failures, unfinished = map[jobs.State]int64{}, map[jobs.Outcome]int64{}, map[jobs.Outcome]int64{}
	for _, t := range list {
		switch t.State {
		case "":
			unfinished[t.Class] += t.N
		case jobs.Failed:
			failures[t.Class] += t.N
			fallthrough
		default:
			ended[t.State] += t.N
		}
	}
	return ended, failures, unfinished
}

// lines are jobs that ended per minute, by a name; what has none is left out.
func lines(a activity.History, list []activity.Tally, now time.Time, name func(activity.Tally) string) []jobs.Series {
	counts, totals := map[string][]float64{}, map[string]float64{}
	for _, t := range list {
		n := name(t)
		if n == "" || t.State == "" || t.Step < 0 || t.Step >= a.Steps {
			continue
		}
		if counts[n] == nil {
			counts[n] = make([]float64, a.Steps)
		}
		counts[n][t.Step] += float64(t.N)
		totals[n] += float64(t.N)
	}
	out := []jobs.Series{}
	for _, n := range busiest(counts, totals) {
		out = append(out, jobs.Series{Name: n, Points: perMinute(a, counts[n], now)})
	}
	return out
}

// busiest are the names in the order of their lines. Of many, the last ones are
// added up as one.
func busiest(counts map[string][]float64, totals map[string]float64) []string {
	names := make([]string, 0, len(counts))
	for n := range counts {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b)) })
	if len(names) <= mostLines {
		return names
	}
	var rest []float64
	for _, n := range names[mostLines:] {
		if rest == nil {
			rest = make([]float64, len(counts[n]))
		}
		for i, v := range counts[n] {
			rest[i] += v
		}
	}
	names = names[:mostLines]
	if slices.Contains(names, api.Others) { // a node or program may have that name
		counts["other "+api.Others] = rest
		return append(names, "other "+api.Others)
	}
	counts[api.Others] = rest
	return append(names, api.Others)
}

// perMinute divides counts by the length of their steps. Of the step that is
// not over, as much counts as has passed; where that is little, nothing is known.
func perMinute(a activity.History, counts []float64, now time.Time) []*float64 {
	points := make([]*float64, len(counts))
	for i, n := range counts {
		passed := min(now.Sub(a.From)-time.Duration(i)*a.Step, a.Step)
		if passed >= a.Step/3 {
			points[i] = new(n / passed.Minutes())
		}
	}
	return points
}

// depthLines are the lengths of the queue, with gaps where nobody looked.
func depthLines(list []activity.Depth) []jobs.Series {
	out := []jobs.Series{{Name: "queued"}, {Name: "running"}, {Name: "waiting"}}
	for i := range out {
		out[i].Points = make([]*float64, len(list))
	}
	for step, d := range list {
		for i, n := range []int64{d.Queued, d.Running, d.Waiting} {
			if n >= 0 {
				out[i].Points[step] = new(float64(n))
			}
		}
	}
	return out
}

func (p *Publisher) addProgramActivity(ctx context.Context, d *api.ProgramDetails, back lookback) error {
	now := time.Now().UTC()
	a, err := p.cfg.Ledger.Activity.History(ctx, now.Add(-back.length), now, d.Name)
	if err != nil {
		return err
	}
	d.Window = spanned(back, a)
	d.Ended, d.Failures, d.Unfinished = sums(a.Programs)
	d.Finished = lines(a, a.Programs, now, func(t activity.Tally) string { return string(t.State) })
	bins, mean, err := p.cfg.Ledger.Activity.Durations(ctx, d.Name, now.Add(-back.length))
	if err != nil {
		return err
	}
	d.Durations, d.Mean = append([]api.Bin{}, bins...), mean.Seconds()
	return p.addProgramQueue(ctx, d)
}

func (p *Publisher) addProgramQueue(ctx context.Context, d *api.ProgramDetails) error {
	b, err := p.cfg.Ledger.Backlog(ctx)
	for _, q := range b.Programs {
		if q.Program == d.Name {
			d.Queue = queueOf(q)
			d.Queued, d.Running = q.Queued, q.Running
		}
	}
	return err
}

// addProgramCounts adds what programs have done in a day, and what waits for them.
func (p *Publisher) addProgramCounts(ctx context.Context, list []api.Program) error {
	now := time.Now()
	a, err := p.cfg.Ledger.Activity.History(ctx, now.Add(-24*time.Hour), now, "")
	if err != nil {
		return err
	}
	b, err := p.cfg.Ledger.Backlog(ctx)
	if err != nil {
		return err
	}
	places := make(map[string]*api.Program, len(list))
	for i := range list {
		list[i].Ended = map[jobs.State]int64{}
		places[list[i].Name] = &list[i]
	}
	for _, t := range a.Programs {
		if l := places[t.Program]; l != nil && t.State != "" {
			l.Ended[t.State] += t.N
		}
	}
	for _, q := range b.Programs {
		if l := places[q.Program]; l != nil {
			l.Queued, l.Running = q.Queued, q.Running
		}
	}
	return nil
}
