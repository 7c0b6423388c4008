package main

import (
	"context"
	"slices"
	"strings"
	"time"
)

// scenario is one figure of the proof.
type scenario struct {
	name  string // such as c1, as on the command line and in the history
	title string
	// limit and shortLimit bound the full and the short form. Default 10 minutes and 60 s.
	limit, shortLimit time.Duration
	// run does it and records what it does and sees. Its error means that the
	// rig could not do its work; what the product did wrong is for the checker.
	run func(ctx context.Context, r *rig) error
}

var scenarios []scenario

// register is called by the init function of each scenario's file.
func register(s scenario) {
	scenarios = append(scenarios, s)
	slices.SortFunc(scenarios, func(a, b scenario) int {
		if len(a.name) != len(b.name) {
			return len(a.name) - len(b.name)
		}
		return strings.Compare(a.name, b.name)
	})
}

func (s scenario) timeout(short bool) time.Duration {
	full, brief := s.limit, s.shortLimit
	if full == 0 {
		full = 10 * time.Minute
	}
	if brief == 0 {
		brief = time.Minute
	}
	if short {
		return brief
	}
	return full
}
