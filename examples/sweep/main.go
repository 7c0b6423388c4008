// Command sweep prices an Asian option by Monte Carlo: the mean payoff of random paths, whose
// price is averaged over a year (see P. Glasserman, "Monte Carlo Methods in Financial
// Engineering", Springer 2003, section 1.1.2). It is a program for Runnerbean, and also runs in
// a shell:
//
//	echo '{"frame":0,"volatility":0.2,"strike":100}' | sweep
//
// The same input gives the same numbers, also if the run was broken off and continued from its
// checkpoint: that has the state of the random numbers.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
)

const (
	// exitData is EX_DATAERR: another attempt with this input would fail, too.
	exitData = 65
	// steps is how many prices of a path are averaged: one for each trading day of a year.
	steps = 252
	// between is how many paths lie between two checkpoints.
	between = 5_000

	price, rate = 100.0, 0.03 // at the start, and without risk
)

// input is the point of the sweep, in standard input.
type input struct {
	Frame      int     `json:"frame"` // chooses the random numbers
	Volatility float64 `json:"volatility"`
	Strike     float64 `json:"strike"`
	Paths      int     `json:"paths"`
	Seed       uint64  `json:"seed"`
}

// output is the estimate, on standard output.
type output struct {
	Volatility float64 `json:"volatility"`
	Strike     float64 `json:"strike"`
	Price      float64 `json:"price"`
	// Error is the standard error of Price.
	Error float64 `json:"error"`
	Paths int     `json:"paths"`
}

// state is what a checkpoint holds.
type state struct {
	Done    int     `json:"done"` // paths
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
	Random  []byte  `json:"random"`
}

func main() {
	if err := run(os.Stdin, os.Stdout, "checkpoint", os.NewFile(3, "events")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, errInput) {
			os.Exit(exitData)
		}
		os.Exit(1)
	}
}

var errInput = errors.New("the input must have frame, volatility from 0.01 to 2, strike from 1 to 1000, and may have paths up to 100000000 and seed")

func run(stdin io.Reader, stdout io.Writer, folder string, events io.Writer) error {
	in := input{Paths: 100_000, Seed: 1}
	if err := json.NewDecoder(stdin).Decode(&in); err != nil || in.Frame < 0 || in.Volatility < 0.01 || in.Volatility > 2 ||
		in.Strike < 1 || in.Strike > 1000 || in.Paths < 1 || in.Paths > 100_000_000 {
		return errInput
	}
	source := rand.NewPCG(in.Seed, uint64(in.Frame))
	s, err := restore(folder, source)
	if err != nil {
		return err
	}
	random := rand.New(source)
	for s.Done < in.Paths {
		payoff := max(0, average(random, in.Volatility)-in.Strike) * math.Exp(-rate)
		s.Done, s.Sum, s.Squares = s.Done+1, s.Sum+payoff, s.Squares+payoff*payoff
		if s.Done%between == 0 {
			if err := save(folder, s, source); err != nil {
				return err
			}
			// Nobody may read the events, for instance in a shell.
			_, _ = fmt.Fprintf(events, "{\"checkpoint\":true,\"progress\":%.4f}\n", float64(s.Done)/float64(in.Paths))
		}
	}
	n := float64(in.Paths)
	mean := s.Sum / n
	return json.NewEncoder(stdout).Encode(output{
		Volatility: in.Volatility, Strike: in.Strike, Price: mean, Paths: in.Paths,
		Error: math.Sqrt(max(0, s.Squares/n-mean*mean) / n),
	})
}

// average returns the mean price of a random path.
func average(random *rand.Rand, volatility float64) float64 {
	const dt = 1.0 / steps
	drift, spread := (rate-volatility*volatility/2)*dt, volatility*math.Sqrt(dt)
	level, sum := math.Log(price), 0.0
	for range steps {
		level += drift + spread*random.NormFloat64()
		sum += math.Exp(level)
	}
	return sum / steps
}

// restore reads the checkpoint of an attempt before, if there is one.
func restore(folder string, source *rand.PCG) (s state, err error) {
	text, err := os.ReadFile(filepath.Join(folder, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil {
		err = source.UnmarshalBinary(s.Random)
	}
	return s, err
}

// save replaces the checkpoint in one step. Without a folder, as in a shell, it does nothing.
func save(folder string, s state, source *rand.PCG) (err error) {
	if s.Random, err = source.MarshalBinary(); err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, "state.json")
	err = os.WriteFile(path+".new", text, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
