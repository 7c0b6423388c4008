package process

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/stracetest"
	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

func init() {
	programs["runs"] = func(args []string) {
		if err := errors.Join(Subreap(), cgroup.Adopt(fmt.Sprint("a test, process ", os.Getpid()))); err != nil {
			panic(err)
		}
		offMainThread(func() {
			for range number(args, 1) {
				if err := catHere(args[0] == "bare"); err != nil {
					panic(err)
				}
			}
		})
	}
}

// offMainThread calls f on another thread than the main thread, whose children include
// the orphans: a run has to look at those that it finds there.
func offMainThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			offMainThread(f)
			return
		}
		f()
	}()
	<-done
}

// callsOfRun are the system calls of the thread that runs a small program, per run. What
// the runtime of Go does besides is left out: signals, threads, timers, memory.
var callsOfRun = map[string]int{
	"pipe2": 5, "fcntl": 1, "prctl": 1, "prlimit64": 4, "write": 1, "ppoll": 2, "read": 2, "pread64": 2,
	"kill": 1, "wait4": 1, "getrusage": 1, "close": 11,
}

// TestSystemCalls counts the system calls of a run. A run on a busy machine has more of
// some, so the least of many runs counts.
func TestSystemCalls(t *testing.T) {
	bothWays(t, func(t *testing.T, bare bool) {
		want := maps.Clone(callsOfRun)
		if bare {
			want["prlimit64"] += 2 // the mark
			want["pread64"]--      // no cgroup
		}
		if diff := cmp.Diff(want, leastCalls(t, bare)); diff != "" {
			t.Errorf("system calls of a run, wanted and counted: %s", diff)
		}
	})
}

// leastCalls returns how often each of callsOfRun occurs in the run that has least of it.
func leastCalls(t *testing.T, bare bool) map[string]int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	way := "cgroup"
	if bare {
		way = "bare"
	}
	cmd := exec.CommandContext(t.Context(), exe, way, "100")
	cmd.Env = childEnv("runs")
	calls := stracetest.Run(t, cmd, slices.Collect(maps.Keys(callsOfRun))...)
	thread := "" // that reaps the programs
	for _, c := range calls {
		if c.Name == "wait4" {
			thread = c.Thread
		}
	}
	var least map[string]int // nil in the first run, which opens what the others use again
	run := map[string]int{}
	for _, c := range calls {
		if c.Thread != thread {
			continue
		}
		run[c.Name]++
		if c.Name != "wait4" {
			continue
		}
		if least == nil {
			least = map[string]int{}
			clear(run)
		}
		for name, n := range run {
			if before, known := least[name]; !known || n < before {
				least[name] = n
			}
		}
		clear(run)
	}
	return least
}

// TestAllocations bounds what a run allocates: the output and a little more. The least of
// several runs counts, because the pools of Go may be emptied at any time.
func TestAllocations(t *testing.T) {
	count, bytes := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for range 20 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := catHere(true); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		count, bytes = min(count, after.Mallocs-before.Mallocs), min(bytes, after.TotalAlloc-before.TotalAlloc)
	}
	maxCount, maxBytes := uint64(25), uint64(len(block))+8<<10
	if poolsDrop {
		maxCount, maxBytes = 40, uint64(len(block))+32<<10
	}
	if count > maxCount || bytes > maxBytes {
		t.Errorf("%d allocations of %d bytes in a run", count, bytes)
	}
}
