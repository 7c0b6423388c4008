package suggest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, name := range []string{
		"id", "program", "attempts", "input", "not_before", "expires", "labels", "needs", "priority", "timeout", "traceparent",
	} {
		known[name] = true
	}
	for name, want := range map[string]string{
		"programm": "program", "progam": "program", "Program": "program", "prorgam": "program",
		"notbefore": "not_before", "not-before": "not_before", "expire": "expires", "label": "labels",
		"i": "id", "attempt": "attempts", "traceParent": "traceparent", "need": "needs",
		"zebra": "", "x": "", "": "", "program_sha256": "", strings.Repeat("program", 100): "",
	} {
		if got := Nearest(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestClosest(t *testing.T) {
	t.Parallel()
	known := []string{"cat", "forecast", "render", "sweep"}
	if diff := cmp.Diff([]string{"forecast", "cat", "render"}, Closest(3, "forcast", known)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"cat", "cbt"}, Closest(3, "ct", []string{"cbt", "cat"})); diff != "" {
		t.Error(diff)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"a", "", 1},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"kitten", "sitting", 3},
		{"ab", "ba", 1},
		{"abcd", "badc", 2},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
