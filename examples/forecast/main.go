// Command forecast continues a time series with one or two seasons. It is a program
// for Runnerbean, and also runs in a shell:
//
//	forecast < input.json > forecast.json
//
// The method is double seasonal Holt–Winters smoothing (J. W. Taylor, "Short-term
// electricity demand forecasting using double seasonal exponential smoothing",
// Journal of the Operational Research Society 54, 2003) with a correction for
// the autocorrelation of the residuals. Level and seasons are multiplied, by way of
// logarithms. If values are close to zero or negative, they are added. Prediction
// intervals come from simulation; see interval.
//
// The exit code is 65 if the input has a fault. The last line on standard error then
// names the field.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"
)

// exitData is EX_DATAERR: another attempt with this input would fail, too.
const exitData = 65

func main() {
	events, done := openEvents(os.Getenv("RUNNERBEAN_EVENTS"))
	err := run(os.Stdin, os.Stdout, events)
	done()
	os.Exit(exitCode(err, os.Stderr))
}

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, err)
	var fault *invalid
	if errors.As(err, &fault) {
		return exitData
	}
	return 1
}

func run(stdin io.Reader, stdout io.Writer, events *events) error {
	in, err := readInput(stdin)
	if err != nil {
		return err
	}
	out, err := forecast(in, events)
	if err != nil {
		return err
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = stdout.Write(append(text, '\n'))
	return err
}

// The shares of the work that are done after the fit and at the end.
const (
	fitBegins = 0.02
	fitEnds   = 0.85
)

func forecast(in *input, events *events) (*output, error) {
	scale := newScale(in.values())
	y := scale.in(in.values())
	fitter := newFitter(y, in.seasons())
	sketch(in, scale, fitter, events)
	best, err := fitter.fit(func(share float64) {
		events.progress(fitBegins+(fitEnds-fitBegins)*share, fmt.Sprintf("fitting, %d sets of parameters tried", fitter.count))
	})
	if err != nil {
		return nil, &invalid{"series.values", err.Error()}
	}
	end, failures := through(fitter.begin, best.params, y)
	values := make([]float64, in.Horizon)
	end.ahead(best.params, values)
	lower, upper := interval(end, best.params, failures, int(in.Horizon), func(share float64) {
		events.progress(fitEnds+(1-fitEnds)*share, "simulating the prediction interval")
	})
	return assemble(in, scale, best, values, lower, upper)
}

// through runs the model through the series to its end.
func through(begin *state, p params, y []float64) (end *state, failures []float64) {
	end = begin.clone()
	failures = make([]float64, len(y))
	for t, v := range y {
		failures[t] = end.step(p, v)
	}
	return end, failures
}

func assemble(in *input, c scale, best fitted, values, lower, upper []float64) (*output, error) {
	for h := range values {
		lower[h], upper[h] = min(lower[h], values[h]), max(upper[h], values[h])
	}
	p := newPredicted(in, c, values)
	p.Lower, p.Upper = rounded(c, lower), rounded(c, upper)
	if !finite(p.Values) || !finite(p.Lower) || !finite(p.Upper) {
		return nil, invalidf("horizon", "the series grows beyond all bounds before its end: ask for fewer than %d values", in.Horizon)
	}
	p.addTimes(in)
	return &output{Series: p, Level: level, Model: newModel(best, c, in)}, nil
}

// maxSketch is the largest number of values in a first forecast, which is one line.
const maxSketch = 5000

// sketch sends a first forecast, made with the parameters at which the search begins.
func sketch(in *input, c scale, f *fitter, events *events) {
	end, _ := through(f.begin, f.bounded(f.free(starts[0])), f.y)
	values := make([]float64, min(int(in.Horizon), maxSketch))
	end.ahead(starts[0], values)
	p := newPredicted(in, c, values)
	if finite(p.Values) {
		events.write(event{Partial: &partial{p}})
	}
	events.progress(fitBegins, "a first sketch is made")
}
