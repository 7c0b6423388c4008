package check

import "fmt"

// Figure is one thing that was wanted, and what was got.
type Figure struct {
	Name   string `json:"figure"`
	Wanted string `json:"wanted"`
	Got    string `json:"got"`
	OK     bool   `json:"ok"`
}

// wantNone is a figure of which there must be none; of says out of how many, and
// example names one.
func wantNone(name string, got int, of, example string) []Figure {
	text := fmt.Sprint(got)
	if of != "" {
		text += " of " + of
	}
	if got > 0 && example != "" {
		text += ", such as " + example
	}
	return []Figure{{Name: name, Wanted: "0", Got: text, OK: got == 0}}
}

// wantAtLeast is a figure of which there must be at least so much.
func wantAtLeast(name string, got, want int, more string) []Figure {
	return []Figure{{Name: name, Wanted: fmt.Sprintf("at least %d", want), Got: fmt.Sprint(got) + more, OK: got >= want}}
}
