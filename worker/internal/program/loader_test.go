package program

import (
	"strings"
	"testing"
)

// TestPanicInTheLoader makes the check of a program panic.
func TestPanicInTheLoader(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.file("p", 0o755, "#!/bin/sh\n")
	l := newLoader(tr.dir)
	l.sums = nil
	if _, err := l.load("p"); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("the loader says %v", err)
	}
}
