package program

import (
	"strings"
	"testing"
)

func TestBinfmt(t *testing.T) {
	t.Parallel()
	const format = "enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OC\noffset 0\nmagic 7f454c460201\nmask ffffffffff00\n"
	head := []byte("\x7fELF\x02\x07rest")
	for text, want := range map[string]bool{
		format: true, strings.Replace(format, "enabled", "disabled", 1): false,
		strings.Replace(format, "offset 0", "offset 9", 1): false, "enabled\nextension .py\n": false, "": false,
	} {
		if got := binfmtMatches(text, head); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
