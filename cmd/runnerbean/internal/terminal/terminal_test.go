package terminal

import (
	"testing"
	"time"
)

func TestSafeMakesTextHarmless(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"plain – ünïcode": "plain – ünïcode",
		"\x1b[31mred":     "red",
		"a\u202eb":        `a\u{202e}b`,
		"one\ntwo":        `one\u{a}two`,
		"bell\a":          `bell\u{7}`,
	}
	for in, want := range tests {
		if got := Safe(in); got != want {
			t.Errorf("Safe(%q) = %q, want %q", in, got, want)
		}
	}
	if got := SafeLines("one\n\tten\r\ttwo\r\x1b[K\x00\n"); got != "one\n\\u{0}\n" {
		t.Errorf("SafeLines: %q", got)
	}
}

func TestBar(t *testing.T) {
	for _, test := range []struct {
		share float64
		want  string
	}{{0, "░░░░"}, {1, "████"}, {0.5, "██░░"}, {0.53125, "██▏░"}, {-3, "░░░░"}, {7, "████"}} {
		if got := Bar(test.share, 4); got != test.want {
			t.Errorf("%v: %q, want %q", test.share, got, test.want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 40 * time.Millisecond: "40 ms", 40 * time.Second: "40 s", 90 * time.Second: "1 min 30 s",
		2 * time.Minute: "2 min", 59*time.Minute + 30*time.Second: "59 min", 26 * time.Hour: "26 h 0 min", 72 * time.Hour: "3 days",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
