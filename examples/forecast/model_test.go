package main

import (
	"math"
	"testing"
)

// TestStepIsTaylorsSmoothing compares each step with the equations of the paper, for
// arbitrary parameters. A test of the fit would miss a wrong equation, because the
// search adapts to it.
func TestStepIsTaylorsSmoothing(t *testing.T) {
	t.Parallel()
	p := params{alpha: 0.3, beta: 0.2, gamma: 0.4, omega: 0.25, phi: 0.6}
	s := &state{level: 10, trend: 0.1, residual: 0.5, short: []float64{1, -1}, long: []float64{0.5, 0.2, -0.5, -0.2}}
	level, trend, residual := s.level, s.trend, s.residual
	short, long := map[int]float64{0: 1, 1: -1}, map[int]float64{0: 0.5, 1: 0.2, 2: -0.5, 3: -0.2}
	for n, y := range []float64{12, 8.5, 10.9, 9, 13, 8, 10, 9.5, 12.2} {
		d, w := short[n], long[n]
		want := level + trend + d + w + p.phi*residual
		if got := s.next(p); math.Abs(got-want) > 1e-12 {
			t.Fatalf("step %d: forecast %g, want %g", n, got, want)
		}
		residual = y - (level + trend + d + w)
		before := level
		level = p.alpha*(y-d-w) + (1-p.alpha)*(level+trend)
		trend = p.beta*(level-before) + (1-p.beta)*trend
		short[n+2] = p.gamma*(y-level-w) + (1-p.gamma)*d
		long[n+4] = p.omega*(y-level-d) + (1-p.omega)*w
		if got := s.step(p, y); math.Abs(got-(y-want)) > 1e-12 {
			t.Fatalf("step %d: error %g, want %g", n, got, y-want)
		}
	}
}

// TestAheadIsRepeatedNext checks that a forecast of many values equals repeated
// forecasts of one, if each comes true.
func TestAheadIsRepeatedNext(t *testing.T) {
	t.Parallel()
	p := params{alpha: 0.3, beta: 0.2, gamma: 0.4, omega: 0.25}
	s := &state{level: 10, trend: 0.1, short: []float64{1, -1}, long: []float64{0.5, 0.2, -0.5, -0.2}}
	got := make([]float64, 9)
	s.ahead(p, got)
	for h, v := range got {
		if want := s.next(p); math.Abs(v-want) > 1e-12 {
			t.Errorf("value %d: %g, want %g", h, v, want)
		}
		s.step(p, v)
	}
	s.residual, p.phi = 2, 0.5
	with := make([]float64, 3)
	s.ahead(p, with)
	s.residual = 0
	without := make([]float64, 3)
	s.ahead(p, without)
	for h, want := range []float64{1, 0.5, 0.25} {
		if diff := with[h] - without[h]; math.Abs(diff-want) > 1e-12 {
			t.Errorf("correction %d: %g, want %g", h, diff, want)
		}
	}
}
