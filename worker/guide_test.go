package worker

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// guideProgram returns the program in a language that docs/programs.md has under a heading.
func guideProgram(t *testing.T, heading, language string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/programs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, headed := strings.Cut(string(text), "\n## "+heading+"\n")
	_, rest, found := strings.Cut(rest, "\n```"+language+"\n")
	program, _, closed := strings.Cut(rest, "\n```\n")
	if !headed || !found || !closed {
		t.Fatalf("docs/programs.md has no program in %s under %q", language, heading)
	}
	return program + "\n"
}

// TestGuidePrograms runs the programs of docs/programs.md. The one in R runs only if R
// and jsonlite are installed: they are too large for CI.
func TestGuidePrograms(t *testing.T) {
	t.Parallel()
	for language, test := range map[string][]string{
		"python": {"python3", "-c", "import json"},
		"r":      {"Rscript", "-e", "library(jsonlite)"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			if err := exec.CommandContext(t.Context(), test[0], test[1:]...).Run(); err != nil {
				t.Skipf("%s cannot be run here: %v", test[0], err)
			}
			r := newFixture(t)
			dir := filepath.Join(r.cfg.Programs, "smooth")
			r.must(os.Mkdir(dir, 0o755))
			r.must(os.WriteFile(filepath.Join(dir, "program.json"), []byte(`{"environment":["PATH"]}`), 0o600))
			r.must(os.WriteFile(filepath.Join(dir, "run"), []byte(guideProgram(t, map[string]string{"python": "In Python", "r": "In R"}[language], language)), 0o700))
			r.start()
			smooths(r, language)
		})
	}
}

// TestGuideNeeds runs the program of docs/programs.md that adds results up.
func TestGuideNeeds(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "sum"), []byte(guideProgram(t, "Needs", "python")), 0o700))
	r.install("echo", "cat")
	r.start()
	sum := job("sum")
	for _, value := range []string{"1", "2.5"} {
		j := job("echo")
		j.Input.Data = []byte(value)
		sum.Needs = append(sum.Needs, j.ID)
		r.submit(j)
		r.await(j.ID, jobs.Succeeded)
	}
	r.submit(sum)
	r.await(sum.ID, jobs.Succeeded)
	if got := string(r.result(sum.ID).Result); got != "3.5" {
		t.Errorf("the sum is %s", got)
	}
}

// TestGuideCheckpoints runs the program of docs/programs.md that saves checkpoints: at once, and
// in attempts that are interrupted.
func TestGuideCheckpoints(t *testing.T) {
	t.Parallel()
	for name, stops := range map[string]int{"at once": 0, "interrupted": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.ShutdownGrace = -1 })
			program := guideProgram(t, "Checkpoints", "python")
			if stops > 0 { // slower, so that it does not end before it is stopped
				before := program
				program = strings.Replace(program, "        state[\"step\"] += 1\n", "        state[\"step\"] += 1\n        if state[\"step\"] % 1000 == 1: __import__(\"time\").sleep(0.002)\n", 1)
				if program == before {
					t.Fatal("the program has changed: change this test")
				}
			}
			r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "sum"), []byte(program), 0o700))
			n := r.start()
			id := r.submit(job("sum"))
			for range stops {
				saved := len(r.kept(id))
				r.until("it has saved", func() bool { return len(r.kept(id)) > saved || r.get(id).State == jobs.Succeeded || saved == 2 })
				n.stop()
				n.wait()
				n = r.start()
			}
			r.await(id, jobs.Succeeded)
			if got := string(r.result(id).Result); got != "499999500000" {
				t.Errorf("the sum is %s", got)
			}
			if stops > 0 && r.get(id).Spent > 0 {
				t.Errorf("it has cost %d attempts", r.get(id).Spent)
			}
		})
	}
}

func smooths(r *fixture, language string) {
	t := r.t
	t.Helper()
	j := job("smooth")
	j.Input.Data = []byte(`{"values":[null,1,2.5,4],"window":2}`)
	id := r.submit(j)
	if record := r.await(id, jobs.Succeeded); record.Error != nil {
		t.Fatalf("%+v", record.Error)
	}
	got := r.result(id)
	var result struct {
		Smoothed []*float64
		Last     float64
	}
	r.must(json.Unmarshal(got.Result, &result))
	a, b, c := 1.0, 1.75, 3.25
	if diff := cmp.Diff([]*float64{nil, &a, &b, &c}, result.Smoothed); diff != "" || result.Last != 3.25 {
		t.Errorf("%s: %s", got.Result, diff)
	}
	if len(got.Artifacts) != 1 || got.Artifacts[0].Name != "smoothed.csv" {
		t.Errorf("files %+v", got.Artifacts)
	}
	if series := string(r.object(store.SeriesKey(id, 1))); !strings.Contains(series, `"progress"`) {
		t.Errorf("its events: %s", series)
	}
	if log := string(r.object(store.LogKey(id, 1))); language == "python" && log != "smoothing 4 values\n" {
		t.Errorf("its log: %q", log)
	}
	j = job("smooth")
	j.Input.Data = []byte(`{"values":[]}`)
	if e := r.await(r.submit(j), jobs.Failed).Error; e.Class != jobs.OutcomeFailed || e.Message != `the input has no list "values"` {
		t.Errorf("%+v", e)
	}
}
