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

// TestReservedName refuses a program with the name of the one that runs batches.
func TestReservedName(t *testing.T) {
	t.Parallel()
	tr := newTree(t)
	tr.file("batch", 0o755, "#!/bin/sh\n")
	if _, err := newLoader(tr.dir).load("batch"); err == nil || !strings.Contains(err.Error(), "rename the folder") {
		t.Errorf("the loader says %v", err)
	}
}
