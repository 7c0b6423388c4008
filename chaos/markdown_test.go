package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/chaos/check"
)

func TestFiguresReplaceThoseOfAnEarlierRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(path, []byte("# Figures\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	write := func(name, got string, ok bool) {
		v := result{Scenario: name, Title: "all is killed", Figures: []check.Figure{{Name: "lost | gone", Wanted: "0", Got: got, OK: ok}}}
		if err := writeMarkdown(path, []result{v}); err != nil {
			t.Fatal(err)
		}
	}
	write("c1", "7", false)
	write("c2", "0", true)
	write("c1", "0", true)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if strings.Count(text, `| lost \| gone | 0 | 0 | pass |`) != 2 || strings.Contains(text, "FAIL") || !strings.HasPrefix(text, "# Figures\n\n<!-- c1 -->\n") {
		t.Errorf("%s", text)
	}
}
