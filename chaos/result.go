package main

import (
	"os"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// result is the outcome of one scenario.
type result struct {
	Scenario string         `json:"scenario"`
	Title    string         `json:"title"`
	Replay   string         `json:"replay"`
	History  string         `json:"history"`
	Began    time.Time      `json:"began"`
	Seconds  float64        `json:"seconds"`
	Figures  []check.Figure `json:"figures"`
}

func (r result) ok() bool {
	return !slices.ContainsFunc(r.Figures, func(f check.Figure) bool { return !f.OK })
}

// evaluate returns the figures of a history.
func evaluate(path string) ([]check.Figure, error) {
	events, err := read(path)
	if err != nil {
		return nil, err
	}
	return check.Check(events), nil
}

func read(path string) ([]check.Event, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return check.Read(file)
}

type options struct {
	seed  uint64
	short bool
	json  bool
	bin   string
	keep  string
	doc   string
	names []string

	builds *testbed.Builds
}
