package check

import "fmt"

type rule func(*facts) []Figure

// common are the rules for every history. Rules without anything to check
// return nothing.
var common = []rule{unbroken, oneContent, noRegressions, rightAnswers, deletions, measures}

// strict are the rules for histories in which every job has to succeed.
var strict = append([]rule{acceptedJobs, allEnded, allSucceeded, neverForgotten, extraRuns, unexplainedRuns, noUnexpectedEnds, lostInboxJobs}, common...)

// promised are the rules for histories that do not show why a job runs again.
var promised = append([]rule{acceptedJobs, allEnded, allSucceeded, neverForgotten}, common...)

// keeping are the rules for histories with jobs that are deleted, or restored.
var keeping = append([]rule{acceptedJobs, allEnded, meantEnds, neverForgotten, deletedInTime, noRefusals, halfJobs, restored}, common...)

var rules = map[string][]rule{
	"c1":  strict,
	"c2":  strict,
	"c3":  append([]rule{acceptedJobs, lossSeen}, common...),
	"c4":  promised,
	"c5":  append([]rule{takeovers, finishedTakeovers}, strict...),
	"c7":  append([]rule{connectionCuts, wrongDeletes, emptyTubes}, strict...),
	"c8":  promised,
	"c9":  append([]rule{clockMoves}, strict...),
	"c10": promised,
	"c12": append([]rule{noUnexpectedEnds}, promised...),
	"c13": keeping,
	"c14": keeping,
	"c15": append([]rule{programKills, warmRuns}, strict...),
	"c16": strict,
	"c17": strict,
	"c18": append([]rule{runsAfterKills, noUnexpectedEnds}, promised...),
}

// Check returns the figures of a history. For an unknown scenario it uses the
// common rules.
func Check(events []Event) []Figure {
	f := collect(events)
	list, ok := rules[f.scenario]
	if !ok {
		list = append([]rule{allEnded}, common...)
	}
	var figures []Figure
	for _, rule := range list {
		figures = append(figures, rule(f)...)
	}
	return figures
}

// unbroken demands that the history has its last line.
func unbroken(f *facts) []Figure {
	if f.end {
		return nil
	}
	return []Figure{{Name: "the history is whole", Wanted: "yes", Got: "it breaks off"}}
}

// measures compares measured values with the limits recorded beside them.
func measures(f *facts) []Figure {
	figures := make([]Figure, 0, len(f.measures))
	for _, e := range f.measures {
		figure := Figure{Name: e.Text, Got: fmt.Sprintf("%g", e.N), OK: e.Most != nil || e.Least != nil}
		if e.Most != nil {
			figure.Wanted = fmt.Sprintf("at most %g", *e.Most)
			figure.OK = figure.OK && e.N <= *e.Most
		}
		if e.Least != nil {
			figure.Wanted += fmt.Sprintf("at least %g", *e.Least)
			figure.OK = figure.OK && e.N >= *e.Least
		}
		figures = append(figures, figure)
	}
	return figures
}
