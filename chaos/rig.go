package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// rig is the world of one scenario: a folder, a history and the processes in it.
type rig struct {
	*history
	name  string // of the scenario
	seed  uint64
	short bool
	bin   string // the runnerbean binary
	dir   string // all files of the scenario are in here
	rand  *rand.Rand

	mu        sync.Mutex
	processes []*process
	ports     []*port

	background sync.WaitGroup // goroutines that end when the processes have
}

func newRig(s scenario, o options, bin, dir string) (*rig, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	h, err := openHistory(filepath.Join(dir, "history.jsonl"))
	if err != nil {
		return nil, err
	}
	r := &rig{history: h, name: s.name, seed: o.seed, short: o.short, bin: bin, dir: dir}
	r.rand = r.random(s.name)
	return r, nil
}

// random is a source of chance of its own for one part of a scenario, which
// depends on the seed and the name of the part alone.
func (r *rig) random(part string) *rand.Rand {
	sum := fnv.New64a()
	sum.Write([]byte(part))
	return rand.New(rand.NewPCG(r.seed, sum.Sum64()))
}

// folder makes a folder in the rig's own.
func (r *rig) folder(name string) (string, error) {
	path := filepath.Join(r.dir, name)
	return path, os.MkdirAll(path, 0o755)
}

// pick is the figure for the form that is run.
func pick[T any](r *rig, full, short T) T {
	if r.short {
		return short
	}
	return full
}

// measure records a figure of which at most so much is wanted.
func (r *rig) measure(what string, got, most float64) {
	r.note(check.Event{What: check.Measure, Text: what, N: got, Most: &most})
}

// measureLeast records a figure of which at least so much is wanted.
func (r *rig) measureLeast(what string, got, least float64) {
	r.note(check.Event{What: check.Measure, Text: what, N: got, Least: &least})
}

// say records a remark.
func (r *rig) say(format string, args ...any) {
	r.note(check.Event{What: check.Note, Text: fmt.Sprintf(format, args...)})
}

// close ends all processes that the rig has started.
func (r *rig) close() error {
	r.mu.Lock()
	processes, ports := r.processes, r.ports
	r.mu.Unlock()
	var ends sync.WaitGroup
	for _, p := range processes {
		ends.Go(p.end)
	}
	ends.Wait()
	r.background.Wait()
	errs := make([]error, 0, len(ports))
	for _, p := range ports {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// until asks a question again and again until the answer is yes.
func until(ctx context.Context, every time.Duration, what string, yes func() bool) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
	return nil
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
