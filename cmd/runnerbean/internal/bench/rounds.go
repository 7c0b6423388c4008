package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
)

// rounds measures in turn, so that what else the machine does disturbs all alike.
type rounds struct {
	options  Options
	bencher  *bencher
	meter    meter
	cat      string
	cmdstalk *cmdstalk // nil: it is not installed
	progress io.Writer

	total   usage // of the jobs of all rounds
	parts   map[string]time.Duration
	profile profiler
}

// program returns the name of the program of the jobs.
func (r *rounds) program() string {
	if r.options.Mode == ModeStream {
		return streamProgram
	}
	return "cat"
}

func (r *rounds) measure(ctx context.Context, round int) (Round, error) {
	var one Round
	o := r.options
	step := func(what string, f func(done func(int)) (float64, error)) (float64, error) {
		what = fmt.Sprintf("round %d of %d: %s", round+1, o.Rounds, what)
		if !terminal.Interactive(r.progress) {
			fmt.Fprintln(r.progress, what, "...")
		}
		bar := terminal.NewCountBar(r.progress, what, o.Jobs)
		defer bar.End()
		return f(bar.Set)
	}
	var err error
	before := r.meter.processorsNow()
	one.Spawn, err = step("spawn alone", func(done func(int)) (float64, error) {
		return spawnAlone(ctx, r.cat, r.bencher.input, o.Slots, o.Jobs, done)
	})
	if err != nil {
		return one, err
	}
	alone := r.meter.processorsNow().minus(before)
	one.SpawnCPU = milliseconds(alone.processors()) / float64(o.Jobs)
	if r.cmdstalk != nil {
		if one.Cmdstalk, err = step("cmdstalk", func(done func(int)) (float64, error) { return r.cmdstalk.throughput(ctx, o.Jobs, done) }); err != nil {
			return one, err
		}
	}
	one.Whole, err = step("whole system", func(done func(int)) (float64, error) { return r.whole(ctx, &one, done) })
	return one, err
}

// whole measures the node, with its costs.
func (r *rounds) whole(ctx context.Context, one *Round, done func(int)) (float64, error) {
	before, err := r.meter.now(ctx)
	if err != nil {
		return 0, err
	}
	r.profile.start()
	rate, err := r.bencher.throughput(ctx, r.program(), r.options.Jobs, done)
	profile := r.profile.stop()
	if err != nil {
		return 0, err
	}
	after, err := r.meter.now(ctx)
	if err != nil {
		return 0, err
	}
	used := after.minus(before)
	one.CPU = milliseconds(used.processors()) / float64(r.options.Jobs)
	r.total = r.total.plus(used)
	if r.parts == nil {
		r.parts = map[string]time.Duration{}
	}
	if err := addParts(r.parts, profile); err != nil {
		return 0, err
	}
	if r.options.CPUProfile != "" {
		err = os.WriteFile(r.options.CPUProfile, profile, 0o666)
	}
	return rate, err
}
