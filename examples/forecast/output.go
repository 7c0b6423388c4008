package main

import (
	"math"
	"time"
)

// output is what goes to standard output.
type output struct {
	Series predicted `json:"series"`
	// Level is the share of values that the interval from lower to upper is to hold.
	Level float64 `json:"level"`
	Model model   `json:"model"`
}

// predicted is the series after the end of the input.
type predicted struct {
	Start    string    `json:"start"`
	Interval int       `json:"interval_s"`
	Unit     string    `json:"unit"`
	Times    []string  `json:"times,omitempty"`
	Values   []float64 `json:"values"`
	Lower    []float64 `json:"lower,omitempty"`
	Upper    []float64 `json:"upper,omitempty"`
}

// model says what was fitted and how well.
type model struct {
	// Kind is multiplicative or additive: how level and seasons come together.
	Kind       string     `json:"kind"`
	Seasons    []int      `json:"seasons"`
	Values     int        `json:"values"`
	Parameters parameters `json:"parameters"`
	Error      errorSize  `json:"in_sample_error_percent"`
	// Iterations is how many sets of parameters were tried.
	Iterations int `json:"iterations"`
}

type parameters struct {
	Alpha float64  `json:"alpha"`
	Beta  float64  `json:"beta"`
	Gamma float64  `json:"gamma"`
	Omega *float64 `json:"omega,omitempty"`
	Phi   float64  `json:"phi"`
}

// errorSize holds mean absolute errors in percent: of the value, or, where the
// model is additive, of the values' mean size.
type errorSize struct {
	OneStep float64 `json:"one_step"`
	// Season is of forecasts of a whole longest season.
	Season float64 `json:"longest_season"`
}

func newModel(f fitted, c scale, in *input) model {
	m := model{
		Kind: "additive", Seasons: in.seasons(), Values: len(in.Series.Values), Iterations: f.evaluations,
		Parameters: parameters{Alpha: places(f.alpha, 6), Beta: places(f.beta, 6), Gamma: places(f.gamma, 6), Phi: places(f.phi, 6)},
		Error:      errorSize{OneStep: places(100*f.step, 3), Season: places(100*f.season, 3)},
	}
	if c.logarithmic {
		m.Kind = "multiplicative"
	}
	if len(in.Seasons) > 1 {
		omega := places(f.omega, 6)
		m.Parameters.Omega = &omega
	}
	return m
}

// newPredicted puts values, on the model's scale, into the series' own terms.
func newPredicted(in *input, c scale, values []float64) predicted {
	return predicted{
		Start:    in.Series.at(len(in.Series.Values)).Format(time.RFC3339),
		Interval: int(in.Series.Interval),
		Unit:     in.Series.Unit,
		Values:   rounded(c, values),
	}
}

func (p *predicted) addTimes(in *input) {
	for h := range p.Values {
		p.Times = append(p.Times, in.Series.at(len(in.Series.Values)+h).Format(time.RFC3339))
	}
}

// rounded leaves about six digits of the values' mean size: more would only
// pretend to know.
func rounded(c scale, values []float64) []float64 {
	digits := 6 - int(math.Ceil(math.Log10(c.unit)))
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = places(c.back(v), digits)
	}
	return out
}

// places rounds to so many decimal places.
func places(v float64, digits int) float64 {
	if digits < 0 {
		unit := math.Pow10(-digits)
		return math.Round(v/unit) * unit
	}
	unit := math.Pow10(min(digits, 300))
	return math.Round(v*unit) / unit
}

// finite reports whether all values can be told in JSON and are of any use.
func finite(values []float64) bool {
	for _, v := range values {
		if !(math.Abs(v) <= 1e6*maxValue) {
			return false
		}
	}
	return true
}
