package main

import (
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// demand is the electricity demand in England and Wales, half-hourly, over twelve
// weeks.
func demand(tb testing.TB) []float64 {
	tb.Helper()
	file, err := os.Open("../website/england-wales-demand-2000.csv")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	var y []float64
	for _, row := range rows[1:] {
		v, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			tb.Fatal(err)
		}
		y = append(y, v)
	}
	return y
}

func inputOf(y []float64, seasons []count, horizon int) *input {
	in := &input{Series: observed{Start: "2000-06-05T00:00:00+01:00", Interval: 1800, Unit: "MW"}, Seasons: seasons, Horizon: count(horizon)}
	for _, v := range y {
		in.Series.Values = append(in.Series.Values, number(v))
	}
	return in
}

func mustForecast(tb testing.TB, in *input) *output {
	tb.Helper()
	if err := in.check(); err != nil {
		tb.Fatal(err)
	}
	out, err := forecast(in, &events{})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// mape returns the mean absolute error in percent of the actual values.
func mape(forecast, actual []float64) float64 {
	sum := 0.0
	for i, v := range forecast {
		sum += math.Abs(v/actual[i] - 1)
	}
	return 100 * sum / float64(len(forecast))
}

const day, week, fitTo = 48, 336, 2688

func TestDemandIsForecast(t *testing.T) {
	t.Parallel()
	y := demand(t)
	out := mustForecast(t, inputOf(y[:fitTo], []count{day, week}, week))
	nextDay := mape(out.Series.Values[:day], y[fitTo:])
	nextWeek := mape(out.Series.Values, y[fitTo:])
	t.Logf("MAPE %.3f %% over the next day, %.3f %% over the next week; %d sets of parameters tried", nextDay, nextWeek, out.Model.Iterations)
	if nextDay > 0.85 || nextWeek > 1.9 {
		t.Errorf("MAPE %.3f %% and %.3f %%, want at most 0.85 %% and 1.9 %%", nextDay, nextWeek)
	}
}

// record is the quality of weekly forecasts made at many moments.
type record struct{ moments, within, day, week float64 }

// backtest forecasts the week after each moment. The parameter every is the
// distance between two moments in half hours.
func backtest(tb testing.TB, every int) record {
	y := demand(tb)
	var r record
	for n := 2016; n+week <= len(y); n += every {
		out := mustForecast(tb, inputOf(y[:n], []count{day, week}, week))
		for h, v := range y[n : n+week] {
			if out.Series.Lower[h] <= v && v <= out.Series.Upper[h] {
				r.within += 100.0 / week
			}
		}
		r.day += mape(out.Series.Values[:day], y[n:])
		r.week += mape(out.Series.Values, y[n:])
		r.moments++
	}
	r.within, r.day, r.week = r.within/r.moments, r.day/r.moments, r.week/r.moments
	return r
}

// TestIntervalsHold checks only a few moments, to be quick, and so with wide bounds.
// BenchmarkBacktest has the meaningful figures.
func TestIntervalsHold(t *testing.T) {
	t.Parallel()
	if r := backtest(t, 672); r.within < 85 || r.within > 99 {
		t.Errorf("the interval held %.1f %% of values, want about %.0f %%", r.within, 100*level)
	}
}

// BenchmarkBacktest measures the method at many moments. A single moment, such as the
// one of TestDemandIsForecast, may be a lucky one.
func BenchmarkBacktest(b *testing.B) {
	var r record
	for b.Loop() {
		r = backtest(b, 96)
	}
	b.ReportMetric(r.moments, "moments")
	b.ReportMetric(r.day, "%MAPE/day")
	b.ReportMetric(r.week, "%MAPE/week")
	b.ReportMetric(r.within, "%within")
}

func TestKnownSeriesAreContinued(t *testing.T) {
	t.Parallel()
	wave := func(t, period int) float64 { return math.Sin(2 * math.Pi * float64(t) / float64(period)) }
	tests := map[string]struct {
		seasons []count
		kind    string
		at      func(t int) float64
		within  float64
	}{
		"one season":            {[]count{12}, "multiplicative", func(t int) float64 { return 100 + 20*wave(t, 12) }, 0.5},
		"two seasons, factors":  {[]count{6, 24}, "multiplicative", func(t int) float64 { return 500 * math.Exp(0.2*wave(t, 6)+0.3*wave(t, 24)) }, 1},
		"two seasons, negative": {[]count{6, 24}, "additive", func(t int) float64 { return 3*wave(t, 6) + 5*wave(t, 24) }, 0.01},
		"zeros":                 {[]count{8}, "additive", func(t int) float64 { return math.Max(0, wave(t, 8)) }, 0.01},
		"nothing but zeros":     {[]count{2}, "additive", func(int) float64 { return 0 }, 0},
		"constant":              {[]count{2, 4}, "multiplicative", func(int) float64 { return 7 }, 1e-6},
		"trend":                 {[]count{5}, "multiplicative", func(t int) float64 { return math.Exp(0.001*float64(t)) * (10 + wave(t, 5)) }, 0.5},
		"large":                 {[]count{4}, "multiplicative", func(t int) float64 { return 1e11 * (5 + wave(t, 4)) }, 1e8},
		"small":                 {[]count{4}, "multiplicative", func(t int) float64 { return 1e-11 * (5 + wave(t, 4)) }, 1e-13},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, horizon := 10*int(test.seasons[len(test.seasons)-1]), 15
			var y []float64
			for i := range n {
				y = append(y, test.at(i))
			}
			out := mustForecast(t, inputOf(y, test.seasons, horizon))
			if out.Model.Kind != test.kind {
				t.Errorf("model is %s, want %s", out.Model.Kind, test.kind)
			}
			for h, got := range out.Series.Values {
				if want := test.at(n + h); !(math.Abs(got-want) <= test.within) {
					t.Errorf("value %d: got %g, want %g", h, got, want)
				}
				if lower, upper := out.Series.Lower[h], out.Series.Upper[h]; !(lower <= got && got <= upper) {
					t.Errorf("value %d: %g is not from %g to %g", h, got, lower, upper)
				}
			}
		})
	}
}

func TestSameInputSameForecast(t *testing.T) {
	t.Parallel()
	in := inputOf(demand(t)[:20*day], []count{day}, week)
	if diff := cmp.Diff(mustForecast(t, in), mustForecast(t, in)); diff != "" {
		t.Error(diff)
	}
}

func TestShortestSeries(t *testing.T) {
	t.Parallel()
	for n := 4; n <= 9; n++ {
		y := make([]float64, n)
		for i := range y {
			y[i] = float64(1 + i%2)
		}
		out := mustForecast(t, inputOf(y, []count{2}, 3))
		if !finite(out.Series.Values) {
			t.Errorf("%d values: forecast is %v", n, out.Series.Values)
		}
	}
}

func TestTransformKeepsBounds(t *testing.T) {
	t.Parallel()
	f := &fitter{seasons: []int{2, 4}}
	for _, start := range starts {
		got := f.bounded(f.free(start))
		for _, d := range []float64{got.alpha - start.alpha, got.beta - start.beta, got.gamma - start.gamma, got.omega - start.omega, got.phi - start.phi} {
			if math.Abs(d) > 1e-12 {
				t.Errorf("%+v came back as %+v", start, got)
			}
		}
	}
	if p := f.bounded([]float64{1e3, -1e3, 50, 1e3, -50}); p.alpha > 1 || p.beta < 0 || p.phi > maxPhi {
		t.Errorf("out of bounds: %+v", p)
	}
}

func BenchmarkFit(b *testing.B) {
	scale := newScale(demand(b)[:fitTo])
	y := scale.in(demand(b)[:fitTo])
	for b.Loop() {
		f := newFitter(y, []int{day, week})
		if _, err := f.fit(func(float64) {}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForecast(b *testing.B) {
	in := inputOf(demand(b)[:fitTo], []count{day, week}, week)
	for b.Loop() {
		mustForecast(b, in)
	}
}
