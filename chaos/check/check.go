package check

import "fmt"

type rule func(*facts) []Figure

// common are the rules for every history, as far as they say anything of it.
var common = []rule{unbroken, oneContent, noRegressions, rightAnswers, measures}

// strict are the rules for histories in which every job ought to succeed.
var strict = append([]rule{acceptedJobs, allEnded, allSucceeded, neverForgotten, extraRuns, unexplainedRuns, noUnexpectedEnds, lostInboxJobs}, common...)

// promised are the rules where jobs may run again for reasons that a history
// does not tell.
var promised = append([]rule{acceptedJobs, allEnded, allSucceeded, neverForgotten}, common...)

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
}

// Check says what a history shows. Scenarios that it does not know by name are
// held to the common rules and to their own measures.
func Check(events []Event) []Figure {
	f := collect(events)
	list, ok := rules[f.scenario]
	if !ok {
		list = append([]rule{allEnded}, common...)
	}
	var figures []Figure
	for _, judge := range list {
		figures = append(figures, judge(f)...)
	}
	return figures
}

// complete: a history that breaks off proves nothing.
func unbroken(f *facts) []Figure {
	if f.end {
		return nil
	}
	return []Figure{{Name: "the history is whole", Wanted: "yes", Got: "it breaks off"}}
}

// measures are judged by the limits that came with them.
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
