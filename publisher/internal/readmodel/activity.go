package readmodel

import (
	"cmp"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// mostLines is the greatest number of lines of a plot. The others become one line.
	mostLines = 8
)

func queueOf(b ledger.ProgramBacklog) api.ProgramQueue {
	return api.ProgramQueue{
		Program: b.Program, Queued: b.Queued, Scheduled: b.Scheduled, Running: b.Running, Waiting: b.Waiting,
		Oldest: b.Oldest, Due: b.Oldest,
	}
}

func spanned(back lookback, a activity.History) api.Window {
	return api.Window{
		Name: back.Name, From: a.From, Until: a.From.Add(time.Duration(a.Steps) * a.Step), Step: a.Step.Seconds(),
	}
}

// sums counts jobs that ended by state, failures by class, and attempts that did not end
// their job by outcome.
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

// lines returns the jobs that ended per minute, one line for each name. Jobs without a name
// are left out.
func lines(a activity.History, list []activity.Tally, now time.Time, name func(activity.Tally) string) []api.Series {
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
	out := []api.Series{}
	for _, n := range busiest(counts, totals) {
		out = append(out, api.Series{Name: n, Points: perMinute(a, counts[n], now)})
	}
	return out
}

// busiest returns the names in the order of their lines. If there are too many, it adds up
// the last ones under the name [api.Others].
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

// perMinute divides counts by the length of their steps. The running step counts with the
// time that has passed; if that is less than a third, its point is nil.
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

// depthLines returns the lengths of the queue, with gaps where they were not measured.
func depthLines(list []activity.Depth) []api.Series {
	out := []api.Series{{Name: "queued"}, {Name: "running"}, {Name: "waiting"}}
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
