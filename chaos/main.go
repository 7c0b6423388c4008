// Command chaos is the proof of Runnerbean's promise: it drives the real binary
// and a real beanstalkd as processes, ends them, stops them and cuts them off,
// and lets package check judge what could be seen. It imports nothing of the
// product. "go run ./chaos -short c1" runs one figure in its short form.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

func main() {
	if calledAsProgram() {
		os.Exit(runProgram())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

type options struct {
	seed  uint64
	short bool
	json  bool
	bin   string
	keep  string
	doc   string
	names []string
}

var errFailed = errors.New("not everything is as it should be")

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&o.seed, "seed", 0, "seed of all chance (default: a new one)")
	flags.BoolVar(&o.short, "short", false, "run the short forms")
	flags.BoolVar(&o.json, "json", false, "print the figures as JSON")
	flags.StringVar(&o.bin, "bin", "", "runnerbean binary (default: built from ./cmd/runnerbean)")
	flags.StringVar(&o.keep, "keep", "", "folder for histories, logs and data (default: a temporary one, removed unless something failed)")
	flags.StringVar(&o.doc, "doc", "", "Markdown file to write the figures into")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: chaos [flags] [c1 c2 ...]\n       chaos check HISTORY")
		flags.PrintDefaults()
		for _, s := range scenarios {
			fmt.Fprintf(stderr, "  %s\t%s\n", s.name, s.title)
		}
	}
	err = flags.Parse(args)
	o.names = flags.Args()
	if o.seed == 0 {
		o.seed = rand.Uint64()>>32 | 1
	}
	return o, err
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(o.names) == 2 && o.names[0] == "check" {
		return judgeOld(o, stdout)
	}
	chosen, err := choose(o.names)
	if err != nil {
		return err
	}
	return runAll(ctx, o, chosen, stdout, stderr)
}

func choose(names []string) ([]scenario, error) {
	if len(names) == 0 {
		return scenarios, nil
	}
	var chosen []scenario
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is no scenario; -h lists them", name)
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}

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
	bin, err := binary(ctx, o.bin, dir)
	if err != nil {
		return err
	}
	var verdicts []verdict
	for _, s := range chosen {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		verdicts = append(verdicts, play(ctx, s, o, bin, dir, stderr))
	}
	return report(o, verdicts, stdout)
}

// workFolder makes the folder that everything is in; remove does so unless it
// is to stay.
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
	// Programs must lie in folders that only their owner may change.
	return dir, func() error { return os.RemoveAll(dir) }, os.Chmod(dir, 0o755)
}

// binary is the one given, or one that is built now.
func binary(ctx context.Context, given, dir string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	path := filepath.Join(dir, "runnerbean")
	return path, build(ctx, path)
}

func build(ctx context.Context, path string, flags ...string) error {
	args := append(append([]string{"build"}, flags...), "-o", path, "github.com/runnerbean/runnerbean/cmd/runnerbean")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// verdict is what came of one scenario.
type verdict struct {
	Scenario string         `json:"scenario"`
	Title    string         `json:"title"`
	Replay   string         `json:"replay"`
	History  string         `json:"history"`
	Began    time.Time      `json:"began"`
	Seconds  float64        `json:"seconds"`
	Figures  []check.Figure `json:"figures"`
}

func (v verdict) ok() bool {
	return !slices.ContainsFunc(v.Figures, func(f check.Figure) bool { return !f.OK })
}

// play runs one scenario and judges its history.
func play(ctx context.Context, s scenario, o options, bin, dir string, stderr io.Writer) verdict {
	v := verdict{Scenario: s.name, Title: s.title, Replay: replay(s, o)}
	fmt.Fprintf(stderr, "%s  %s\n    replay: %s\n", strings.ToUpper(s.name), s.title, v.Replay)
	began := time.Now()
	err := perform(ctx, s, o, bin, filepath.Join(dir, s.name), &v)
	v.Began, v.Seconds = began, time.Since(began).Seconds()
	if err != nil {
		v.Figures = append(v.Figures, check.Figure{Name: "the rig did its work", Wanted: "yes", Got: err.Error()})
	}
	if !v.ok() {
		fmt.Fprintf(stderr, "    FAILED, replay: %s\n", v.Replay)
	}
	fmt.Fprintf(stderr, "    %.1f s, history: %s (go run ./chaos check FILE judges it again)\n", v.Seconds, v.History)
	return v
}

func replay(s scenario, o options) string {
	words := []string{"go run ./chaos", fmt.Sprintf("-seed %d", o.seed)}
	if o.short {
		words = append(words, "-short")
	}
	return strings.Join(append(words, s.name), " ")
}

func perform(ctx context.Context, s scenario, o options, bin, dir string, v *verdict) error {
	// -keep may name a folder that was used before.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	r, err := newRig(s, o, bin, dir)
	if err != nil {
		return err
	}
	v.History = r.path
	r.note(check.Event{What: check.Scenario, Who: s.name, Seed: o.seed, Text: v.Replay})
	timed, cancel := context.WithTimeout(ctx, s.timeout(o.short))
	defer cancel()
	err = s.run(timed, r)
	if err == nil {
		r.note(check.Event{What: check.End})
	}
	err = errors.Join(err, r.close(), r.history.close())
	figures, judgeErr := judge(r.path)
	v.Figures = figures
	return errors.Join(err, judgeErr)
}

func judge(path string) ([]check.Figure, error) {
	events, err := read(path)
	if err != nil {
		return nil, err
	}
	return check.Judge(events), nil
}

func read(path string) ([]check.Event, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return check.Read(file)
}

// judgeOld judges a history again.
func judgeOld(o options, stdout io.Writer) error {
	events, err := read(o.names[1])
	if err != nil {
		return err
	}
	v := verdict{Scenario: "old", History: o.names[1], Figures: check.Judge(events)}
	if len(events) > 0 && events[0].What == check.Scenario {
		first := events[0]
		v.Scenario, v.Replay, v.Began = first.Who, first.Text, time.Unix(0, first.T)
		v.Seconds = float64(events[len(events)-1].T-first.T) / 1e9
	}
	if chosen, err := choose([]string{v.Scenario}); err == nil {
		v.Title = chosen[0].title
	}
	return report(o, []verdict{v}, stdout)
}

// report prints all figures; its error says that one is not as it should be.
func report(o options, verdicts []verdict, stdout io.Writer) error {
	bad := slices.ContainsFunc(verdicts, func(v verdict) bool { return !v.ok() })
	if err := table(o, verdicts, stdout); err != nil {
		return err
	}
	if o.doc != "" {
		if err := writeDoc(o.doc, verdicts); err != nil {
			return err
		}
	}
	if bad {
		return errFailed
	}
	return nil
}

func table(o options, verdicts []verdict, stdout io.Writer) error {
	if o.json {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", " ")
		return enc.Encode(verdicts)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\tfigure\twanted\tgot\t\tseconds")
	for _, v := range verdicts {
		for _, f := range v.Figures {
			mark := "pass"
			if !f.OK {
				mark = "FAIL"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.0f\n", v.Scenario, f.Name, f.Wanted, f.Got, mark, v.Seconds)
		}
	}
	return w.Flush()
}
