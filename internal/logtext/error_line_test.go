package logtext

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorLine reads what programs of many languages have printed before they
// ended; the first line of each file is the one to be found.
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

// FuzzErrorLine holds that a log that says anything has a line, which is in it.
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
