package logtext

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorLine reads logs of failed programs in many languages. The first line of each
// file is the expected line.
func TestErrorLine(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/errors/*.txt")
	if err != nil || len(files) < 70 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		first, log, _ := strings.Cut(string(text), "\n")
		if got, want := ErrorLine(Render(log)), strings.TrimPrefix(first, "want: "); got != want {
			t.Errorf("%s: %q, want %q", filepath.Base(name), got, want)
		}
	}
}

// FuzzErrorLine checks that ErrorLine finds a line in every log that is not blank.
func FuzzErrorLine(f *testing.F) {
	files, _ := filepath.Glob("testdata/errors/*.txt")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, log string) {
		log = Render(log)
		line := ErrorLine(log)
		if (line == "") != (strings.TrimSpace(log) == "") {
			t.Errorf("line is %q", line)
		}
		if before, _, _ := strings.Cut(line, "; caused by: "); len(before) > len(log) || strings.Contains(line, "\n") {
			t.Errorf("line is %q", line)
		}
	})
}
