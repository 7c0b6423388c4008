package ledger

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"cat", "forecast", "render", "sweep"}
	if got := nearest("forcast", known); len(got) != 3 || got[0] != "forecast" {
		t.Errorf("nearest: %v, want forecast first of three", got)
	}
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"same", "same", 0}} {
		if got := edits(test.a, test.b); got != test.want {
			t.Errorf("edits(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
