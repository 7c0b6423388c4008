package logtext

import (
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\x00b\x1b[31mc\nd\te": "abc\nd\te",
		"\xff":                  `\xff`,
		"10 %\r20 %\r\nend":     "20 %\nend",
		strings.Repeat("ä", 10): "ääää…",
	} {
		if got := Clean(in, 12); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}
