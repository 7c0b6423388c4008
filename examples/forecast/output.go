package main

import (
	"math"
	"time"
)

// output is the document on standard output.
type output struct {
	Series predicted `json:"series"`
	// Level is the probability with which a value lies between lower and upper.
	Level float64 `json:"level"`
	Model model   `json:"model"`
}

// predicted is the continuation of the series.
type predicted struct {
	Start    string    `json:"start"`
	Interval int       `json:"interval_s"`
	Unit     string    `json:"unit"`
	Times    []string  `json:"times,omitempty"`
	Values   []float64 `json:"values"`
	Lower    []float64 `json:"lower,omitempty"`
	Upper    []float64 `json:"upper,omitempty"`
}

// model describes the fitted model and its errors.
type model struct {
	// Kind is "multiplicative" or "additive": how level and seasons are combined.
	Kind       string     `json:"kind"`
	Seasons    []int      `json:"seasons"`
	Values     int        `json:"values"`
	Parameters parameters `json:"parameters"`
	Error      errorSize  `json:"in_sample_error_percent"`
	// Iterations is the number of parameter sets that were tried.
	Iterations int `json:"iterations"`
}

type parameters struct {
	Alpha float64  `json:"alpha"`
	Beta  float64  `json:"beta"`
	Gamma float64  `json:"gamma"`
	Omega *float64 `json:"omega,omitempty"`
	Phi   float64  `json:"phi"`
}

// errorSize holds mean absolute errors in percent of the value. If the model is
// additive, they are in percent of the mean size of the values.
type errorSize struct {
	OneStep float64 `json:"one_step"`
	// Season is the error of forecasts of a whole longest season.
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

// newPredicted converts values from the model's scale to that of the series.
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

// rounded keeps about six digits of the mean size of the values. More digits would be
// meaningless.
func rounded(c scale, values []float64) []float64 {
	digits := 6 - int(math.Ceil(math.Log10(c.unit)))
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = places(c.back(v), digits)
	}
	return out
}

// places rounds v to a number of decimal places.
func places(v float64, digits int) float64 {
	if digits < 0 {
		unit := math.Pow10(-digits)
		return math.Round(v/unit) * unit
	}
	unit := math.Pow10(min(digits, 300))
	return math.Round(v*unit) / unit
}

// finite reports whether all values are numbers of a plausible size.
func finite(values []float64) bool {
	for _, v := range values {
		if !(math.Abs(v) <= 1e6*maxValue) {
			return false
		}
	}
	return true
}
