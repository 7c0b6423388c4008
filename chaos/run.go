package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

func runAll(ctx context.Context, o options, chosen []scenario, stdout, stderr io.Writer) (err error) {
	dir, remove, err := workFolder(o.keep)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = remove()
		} else {
			fmt.Fprintf(stderr, "histories, logs and data stay in %s\n", dir)
		}
	}()
	o.builds = testbed.NewBuilds(filepath.Join(dir, "builds"))
	bin, err := binary(ctx, o.bin, dir)
	if err != nil {
		return err
	}
	var results []result
	for _, s := range chosen {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		results = append(results, runAndCheck(ctx, s, o, bin, dir, stderr))
	}
	return report(o, results, stdout)
}

// workFolder creates the folder for all files. The function remove deletes it,
// unless it was chosen by -keep.
func workFolder(keep string) (dir string, remove func() error, err error) {
	if keep != "" {
		dir, err = filepath.Abs(keep)
		if err == nil {
			err = os.MkdirAll(dir, 0o755)
		}
		return dir, func() error { return nil }, err
	}
	dir, err = os.MkdirTemp("", "runnerbean-chaos-")
	if err != nil {
		return "", nil, err
	}
	// Nodes refuse programs in folders that others may change.
	return dir, func() error { return os.RemoveAll(dir) }, os.Chmod(dir, 0o755)
}

// binary returns the given path or builds the binary.
func binary(ctx context.Context, given, dir string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	path := filepath.Join(dir, "runnerbean")
	return path, testbed.Build(ctx, path)
}

// runAndCheck runs one scenario and checks its history.
func runAndCheck(ctx context.Context, s scenario, o options, bin, dir string, stderr io.Writer) result {
	v := result{Scenario: s.name, Title: s.title, Replay: replay(s, o)}
	fmt.Fprintf(stderr, "%s  %s\n    replay: %s\n", strings.ToUpper(s.name), s.title, v.Replay)
	began := time.Now()
	err := runScenario(ctx, s, o, bin, filepath.Join(dir, s.name), &v)
	v.Began, v.Seconds = began, time.Since(began).Seconds()
	if err != nil {
		v.Figures = append(v.Figures, check.Figure{Name: "the scenario was carried out", Wanted: "yes", Got: err.Error()})
	}
	if !v.ok() {
		fmt.Fprintf(stderr, "    FAILED, replay: %s\n", v.Replay)
	}
	fmt.Fprintf(stderr, "    %.1f s, history: %s (go run ./chaos check FILE checks it again)\n", v.Seconds, v.History)
	return v
}

func replay(s scenario, o options) string {
	words := []string{"go run ./chaos", fmt.Sprintf("-seed %d", o.seed)}
	if o.short {
		words = append(words, "-short")
	}
	return strings.Join(append(words, s.name), " ")
}

func runScenario(ctx context.Context, s scenario, o options, bin, dir string, v *result) error {
	// -keep may name a folder that was used before.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	bed, err := testbed.New(testbed.Config{Name: s.name, Seed: o.seed, Short: o.short, Bin: bin, Dir: dir, Builds: o.builds})
	if err != nil {
		return err
	}
	v.History = bed.History.Path
	bed.History.Note(check.Event{What: check.Scenario, Who: s.name, Seed: o.seed, Text: v.Replay})
	// The first build takes minutes, and says nothing about the scenario.
	for _, build := range s.builds {
		if _, err = build(ctx, o.builds); err != nil {
			break
		}
	}
	if err == nil {
		timed, cancel := context.WithTimeout(ctx, s.timeout(o.short))
		defer cancel()
		err = s.run(timed, bed)
	}
	if err == nil {
		bed.History.Note(check.Event{What: check.End})
	}
	err = errors.Join(err, bed.Close())
	figures, checkErr := evaluate(bed.History.Path)
	v.Figures = figures
	return errors.Join(err, checkErr)
}

// recheck checks an old history again.
func recheck(o options, stdout io.Writer) error {
	events, err := read(o.names[1])
	if err != nil {
		return err
	}
	v := result{Scenario: "old", History: o.names[1], Figures: check.Check(events)}
	if len(events) > 0 && events[0].What == check.Scenario {
		first := events[0]
		v.Scenario, v.Replay, v.Began = first.Who, first.Text, time.Unix(0, first.T)
		v.Seconds = float64(events[len(events)-1].T-first.T) / 1e9
	}
	if chosen, err := choose([]string{v.Scenario}); err == nil {
		v.Title = chosen[0].title
	}
	return report(o, []result{v}, stdout)
}
