package check

import "fmt"

// Figure is one thing that was wanted, and what was got.
type Figure struct {
	Name   string `json:"figure"`
	Wanted string `json:"wanted"`
	Got    string `json:"got"`
	OK     bool   `json:"ok"`
}

type rule func(*facts) []Figure

// common are the rules for every history, as far as they say anything of it.
var common = []rule{complete, contents, waysBack, bodies, measures}

// strict are the rules for histories in which every job ought to succeed.
var strict = append([]rule{accepted, ended, succeeded, vanished, extraRuns, unexplained, ownEnds, lostPuts}, common...)

// promised are the rules where jobs may run again for reasons that a history
// does not tell.
var promised = append([]rule{accepted, ended, succeeded, vanished}, common...)

var rules = map[string][]rule{
	"c1":  strict,
	"c2":  strict,
	"c3":  append([]rule{accepted, lossSeen}, common...),
	"c4":  promised,
	"c5":  append([]rule{takeovers, asides}, strict...),
	"c7":  append([]rule{cuts, wrongDeletes, tubes}, strict...),
	"c8":  promised,
	"c9":  append([]rule{jumps}, strict...),
	"c10": promised,
}

// Judge says what a history shows. Scenarios that it does not know by name are
// held to the common rules and to their own measures.
func Judge(events []Event) []Figure {
	f := gather(events)
	list, ok := rules[f.scenario]
	if !ok {
		list = append([]rule{ended}, common...)
	}
	var figures []Figure
	for _, judge := range list {
		figures = append(figures, judge(f)...)
	}
	return figures
}

// none is a figure of which there must be none; of says out of how many, and
// example names one.
func none(name string, got int, of, example string) []Figure {
	text := fmt.Sprint(got)
	if of != "" {
		text += " of " + of
	}
	if got > 0 && example != "" {
		text += ", such as " + example
	}
	return []Figure{{Name: name, Wanted: "0", Got: text, OK: got == 0}}
}

// least is a figure of which there must be at least so much.
func least(name string, got, want int, more string) []Figure {
	return []Figure{{Name: name, Wanted: fmt.Sprintf("at least %d", want), Got: fmt.Sprint(got) + more, OK: got >= want}}
}

// complete: a history that breaks off proves nothing.
func complete(f *facts) []Figure {
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
