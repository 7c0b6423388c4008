package main

import "math"

// params are the smoothing parameters of the model, each in (0, 1).
type params struct {
	alpha float64 // level
	beta  float64 // trend
	gamma float64 // shorter season
	omega float64 // longer season; 0 if there is only one season
	phi   float64 // autocorrelation of the residuals
}

// state is double seasonal Holt–Winters smoothing (Taylor 2003) on a scale on which
// level, trend and seasons add up. The residual of the smoothing is autocorrelated, so
// phi times the last residual corrects the next forecast.
type state struct {
	level, trend, residual float64
	short, long            []float64
	i, j                   int // positions of the next value in short and long
}

func (s *state) clone() *state {
	c := *s
	c.short = append([]float64(nil), s.short...)
	c.long = append([]float64(nil), s.long...)
	return &c
}

// next forecasts the next value.
func (s *state) next(p params) float64 {
	return s.level + s.trend + s.short[s.i] + s.long[s.j] + p.phi*s.residual
}

// step updates the state with the next value and returns the error of its forecast.
//
// Each line is one of Taylor's smoothing equations, written as a correction by
// the residual: level += alpha*r is alpha*(y-short-long) + (1-alpha)*(level+trend).
func (s *state) step(p params, y float64) float64 {
	r := y - (s.level + s.trend + s.short[s.i] + s.long[s.j])
	failure := r - p.phi*s.residual
	s.level += s.trend + p.alpha*r
	s.trend += p.alpha * p.beta * r
	rest := (1 - p.alpha) * r
	s.short[s.i] += p.gamma * rest
	s.long[s.j] += p.omega * rest
	s.residual = r
	s.advance()
	return failure
}

func (s *state) advance() {
	if s.i++; s.i == len(s.short) {
		s.i = 0
	}
	if s.j++; s.j == len(s.long) {
		s.j = 0
	}
}

// ahead forecasts the next len(out) values.
func (s *state) ahead(p params, out []float64) {
	level, residual, i, j := s.level, s.residual, s.i, s.j
	for h := range out {
		level += s.trend
		residual *= p.phi
		out[h] = level + s.short[i] + s.long[j] + residual
		if i++; i == len(s.short) {
			i = 0
		}
		if j++; j == len(s.long) {
			j = 0
		}
	}
}

// begin estimates the state before the first value from the first two of the longest
// seasons: the line through their means, and the mean distance from it at each place of
// a season. The series must contain two such seasons.
func begin(y []float64, seasons []int) *state {
	short, long := seasons[0], seasons[len(seasons)-1]
	first, second := mean(y[:long]), mean(y[long:2*long])
	s := &state{trend: (second - first) / float64(long), long: []float64{0}}
	s.level = first - s.trend*float64(long+1)/2
	rest := make([]float64, 2*long)
	for t := range rest {
		rest[t] = y[t] - (first+second)/2
	}
	s.short = profile(rest, short)
	if len(seasons) == 1 {
		return s
	}
	for t := range rest {
		rest[t] -= s.short[t%short]
	}
	s.long = profile(rest, long)
	return s
}

// profile returns the mean of y at each place of a season.
func profile(y []float64, season int) []float64 {
	out := make([]float64, season)
	for t, v := range y {
		out[t%season] += v * float64(season) / float64(len(y))
	}
	return out
}

func mean(y []float64) float64 {
	sum := 0.0
	for _, v := range y {
		sum += v
	}
	return sum / float64(len(y))
}

// scale converts values to the additive scale of the model, and back.
type scale struct {
	logarithmic bool
	unit        float64
}

// newScale chooses logarithms, which make the seasons factors. It keeps the values as
// they are if some are negative or so close to zero that their logarithms would
// dominate the fit.
func newScale(y []float64) scale {
	lowest, size := math.Inf(1), 0.0
	for _, v := range y {
		lowest = min(lowest, v)
		size += math.Abs(v) / float64(len(y))
	}
	if size == 0 {
		size = 1
	}
	return scale{logarithmic: lowest > 0.01*size, unit: size}
}

func (c scale) in(y []float64) []float64 {
	out := make([]float64, len(y))
	for t, v := range y {
		out[t] = v / c.unit
		if c.logarithmic {
			out[t] = math.Log(out[t])
		}
	}
	return out
}

func (c scale) back(v float64) float64 {
	if c.logarithmic {
		v = math.Exp(v)
	}
	return v * c.unit
}
