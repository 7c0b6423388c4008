package check

import "fmt"

// Figure is the result of one rule.
type Figure struct {
	Name   string `json:"figure"`
	Wanted string `json:"wanted"`
	Got    string `json:"got"`
	OK     bool   `json:"ok"`
}

// wantNone returns a figure that should be 0. The text of names the total,
// example one case.
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

// wantAtLeast returns a figure that should be at least want.
func wantAtLeast(name string, got, want int, more string) []Figure {
	return []Figure{{Name: name, Wanted: fmt.Sprintf("at least %d", want), Got: fmt.Sprint(got) + more, OK: got >= want}}
}
