package readmodel

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/counters"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// maxCounters is how many counters one answer has.
	maxCounters = 64
	// countersLate is how long after a step all nodes have handed over what they counted
	// in it.
	countersLate = 3 * time.Second
)

// Counters reads what programs have counted.
type Counters struct {
	cfg  Config
	list FlightCache[api.Counters]
}

// NewCounters returns a reader of counters.
func NewCounters(cfg Config) *Counters { return &Counters{cfg: cfg} }

// Get returns what a program, a node, or a program on a node has counted in a window of time. One
// of the two may be empty. The answer is shared and must not be changed.
func (r *Counters) Get(ctx context.Context, program, node, window string) (api.Counters, error) {
	back, ok := LookbackOf(window)
	switch {
	case !ok:
		return api.Counters{}, httpio.BadParameter("range", BadRange)
	case program == "" && node == "":
		return api.Counters{}, httpio.BadParameter("program", "or node is missing")
	case program != "" && !httpio.ProgramName.MatchString(program):
		return api.Counters{}, httpio.BadParameter("program", "is not the name of a program")
	}
	return r.list.get(ctx, program+"\n"+node+"\n"+window, back.age, func(ctx context.Context) (api.Counters, error) {
		now := r.now()
		h, err := r.cfg.Ledger.Counters.History(ctx, program, node, now.Add(-back.length), now)
		return countersOf(back, h, now.Add(-countersLate)), err
	})
}

func (r *Counters) now() time.Time { return time.Now().UTC() }

// counterSums adds up the lines of one counter.
type counterSums struct {
	api.Counter
	good, bad lineSums
}

// lineSums are the steps and the sum of each line.
type lineSums struct {
	steps  map[string][]float64
	totals map[string]float64
}

func (l *lineSums) add(node string, steps []float64) (total float64) {
	if l.steps == nil {
		l.steps, l.totals = map[string][]float64{}, map[string]float64{}
	}
	for _, n := range steps {
		total += n
	}
	l.steps[node] = steps
	l.totals[node] = total
	return total
}

// countersOf returns a history as the API answers it. Steps that end after known are not whole.
func countersOf(back lookback, h counters.History, known time.Time) api.Counters {
	until := h.From.Add(time.Duration(h.Steps) * h.Step)
	out := api.Counters{Window: api.Window{Name: back.Name, From: h.From, Until: until, Step: h.Step.Seconds()}, Counters: []api.Counter{}}
	sums := map[[2]string]*counterSums{}
	var list []*counterSums
	for _, l := range h.Lines {
		name, bad := strings.CutSuffix(l.Name, api.BadCounter)
		key := [2]string{l.Program, name}
		s := sums[key]
		if s == nil {
			s = &counterSums{Counter: api.Counter{Program: l.Program, Name: name}}
			sums[key], list = s, append(list, s)
		}
		if bad {
			s.Bad += s.bad.add(l.Node, l.N)
		} else {
			s.Total += s.good.add(l.Node, l.N)
		}
	}
	slices.SortFunc(list, func(a, b *counterSums) int {
		return cmp.Or(cmp.Compare(b.Total+b.Bad, a.Total+a.Bad), strings.Compare(a.Program, b.Program), strings.Compare(a.Name, b.Name))
	})
	for _, s := range list[:min(len(list), maxCounters)] {
		s.PerSecond, s.BadPerSecond = s.good.perSecond(h, known), s.bad.perSecond(h, known)
		out.Counters = append(out.Counters, s.Counter)
	}
	return out
}

// perSecond returns the lines, the busiest first.
func (l *lineSums) perSecond(h counters.History, known time.Time) []api.Series {
	out := []api.Series{}
	for _, name := range busiest(l.steps, l.totals) {
		points := make([]*float64, h.Steps)
		for i, n := range l.steps[name] {
			passed := min(known.Sub(h.From)-time.Duration(i)*h.Step, h.Step)
			least := h.Step / 3
			if h.Step == counters.Step {
				least = h.Step
			}
			if passed >= least && i >= h.Unknown {
				points[i] = new(n / passed.Seconds())
			}
		}
		out = append(out, api.Series{Name: name, Points: points})
	}
	return out
}
