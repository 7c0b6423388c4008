// Package testbed starts the real processes of a chaos scenario, submits jobs to
// them, and records in a history what it does and sees. It imports nothing of the
// product.
package testbed

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

// Testbed is the environment of one scenario: a folder, a history and the
// processes that it starts.
type Testbed struct {
	Config  Config
	History *History
	Bin     string // the runnerbean binary
	Dir     string // has all files of the scenario
	Rand    *rand.Rand

	// Places are where processes run, by their names, if not on this machine's loopback.
	Places map[string]Place

	// Background are goroutines that end when the processes have ended.
	Background sync.WaitGroup

	mu      sync.Mutex
	ends    []func()       // end the processes
	closers []func() error // are called after ends
}

// Place is a network of its own for a process.
type Place struct {
	Addr  string   // IP address of the process
	Enter []string // the beginning of a command that runs there
}

// Config says what a testbed is for.
type Config struct {
	Name  string // of the scenario
	Seed  uint64 // of all random choices
	Short bool   // run the short form
	Bin   string // the runnerbean binary
	Dir   string // for all files; it is created
	// Builds are shared by the scenarios of a run.
	Builds *Builds
}

// New starts a history. The caller closes the testbed.
func New(c Config) (*Testbed, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	h, err := openHistory(filepath.Join(c.Dir, "history.jsonl"))
	if err != nil {
		return nil, err
	}
	bed := &Testbed{Config: c, History: h, Bin: c.Bin, Dir: c.Dir}
	bed.Rand = bed.Random(c.Name)
	return bed, nil
}

// Random returns a random number generator for one part of a scenario. Its numbers
// depend only on the seed and the name of the part.
func (bed *Testbed) Random(part string) *rand.Rand {
	sum := fnv.New64a()
	sum.Write([]byte(part))
	return rand.New(rand.NewPCG(bed.Config.Seed, sum.Sum64()))
}

// Folder creates a folder in that of the scenario.
func (bed *Testbed) Folder(name string) (string, error) {
	path := filepath.Join(bed.Dir, name)
	return path, os.MkdirAll(path, 0o755)
}

// Pick returns the value for the form of the scenario that is run.
func Pick[T any](bed *Testbed, full, short T) T {
	if bed.Config.Short {
		return short
	}
	return full
}

// atEnd and atClose register what Close does.
func (bed *Testbed) atEnd(end func()) {
	bed.mu.Lock()
	defer bed.mu.Unlock()
	bed.ends = append(bed.ends, end)
}

func (bed *Testbed) atClose(closer func() error) {
	bed.mu.Lock()
	defer bed.mu.Unlock()
	bed.closers = append(bed.closers, closer)
}

// AtClose registers what Close does after all processes have ended.
func (bed *Testbed) AtClose(closer func() error) { bed.atClose(closer) }

// Close ends all processes and closes the history.
func (bed *Testbed) Close() error {
	bed.mu.Lock()
	ends, closers := bed.ends, bed.closers
	bed.mu.Unlock()
	var processes sync.WaitGroup
	for _, end := range ends {
		processes.Go(end)
	}
	processes.Wait()
	bed.Background.Wait()
	errs := make([]error, 0, len(closers)+1)
	for _, c := range closers {
		errs = append(errs, c())
	}
	return errors.Join(append(errs, bed.History.close())...)
}
