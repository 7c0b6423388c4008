package process

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

// hostile is a shell script that misbehaves. $1 is a number that all its
// processes have on their command lines. $2 says whether an rlimit, set some
// time after the start, limits its memory. No process lives longer than 20 s.
type hostile struct {
	script string
	bound  func(*Spec)
	ready  func(stop, kill func()) // is called at the first event
	ended  func(Exit) bool
}

const (
	// Each process starts the next one in a new session and exits.
	chain = `#!/bin/sh
[ $2 -gt 0 ] || exit 0
setsid sh $0 $1 $(($2-1)) & exit 0`
	// Each process starts two others and stays: 127 in all.
	forest = `#!/bin/sh
[ $2 -eq 0 ] || { setsid sh $0 $1 $(($2-1)) & setsid sh $0 $1 $(($2-1)) & }
exec sleep 19.$1`
)

var hostiles = map[string]hostile{
	"child":          {script: `sleep 19.$1 & exit 3`, ended: code(3)},
	"session":        {script: `setsid sleep 19.$1 >/dev/null 2>&1 3>&1 & exit 3`, ended: code(3)},
	"double fork":    {script: `(setsid sh -c 'sleep 19.$0 & sleep 19.$0' $1 &); exit 3`, ended: code(3)},
	"holds pipes":    {script: `setsid sleep 19.$1 & exit 3`, ended: code(3)},
	"no environment": {script: `setsid env -i sleep 19.$1 >/dev/null & exit 3`, ended: code(3)},
	"deaf":           {script: `trap "" TERM; echo ready >&3; sleep 19.$1; sleep 19.$1`, bound: hasty, ready: stop, ended: killed},
	"deaf session":   {script: `trap "" TERM; setsid sleep 19.$1 & echo ready >&3; sleep 19.$1`, bound: hasty, ready: stop, ended: killed},
	"stopped":        {script: `kill -STOP $$`, bound: hurry, ended: terminated},
	"stalled":        {script: `kill -STOP $$`, bound: func(s *Spec) { s.Stall = 300 * time.Millisecond }, ended: func(e Exit) bool { return e.Stalled }},
	"to be killed":   {script: `trap "" TERM; setsid sleep 19.$1 & echo ready >&3; sleep 19.$1`, ready: func(_, kill func()) { kill() }, ended: func(e Exit) bool { return e.Killed && e.Signal == syscall.SIGKILL }},
	"chain": {
		script: `for i in 1 2 3 4; do setsid sh ./chain $1 1000 & done; sleep 19.$1`, bound: hurry,
		ended: terminated,
	},
	"chain, left":    {script: `setsid sh ./chain $1 1000 & exit 3`, ended: code(3)},
	"forest":         {script: `setsid sh ./forest $1 6 & sleep 19.$1`, bound: hurry, ended: terminated},
	"forest, left":   {script: `setsid sh ./forest $1 6 & exit 3`, ended: code(3)},
	"stdout":         {script: `yes $1`, ended: func(e Exit) bool { return e.StdoutTooBig }},
	"deaf stdout":    {script: `trap "" PIPE TERM; yes $1; sleep 19.$1`, bound: func(s *Spec) { s.Grace = 20 * time.Millisecond }, ended: func(e Exit) bool { return e.StdoutTooBig }},
	"stderr":         {script: `yes $1 >&2`, bound: hurry, ended: terminated},
	"events":         {script: `yes $1 >&3`, bound: hurry, ended: terminated},
	"endless line":   {script: `tr "\0" x </dev/zero >&3`, bound: hurry, ended: terminated},
	"session floods": {script: `setsid yes $1 & setsid yes $1 >&2 & setsid yes $1 >&3 & exit 3`, ended: func(e Exit) bool { return e.Code == 3 || e.StdoutTooBig }},
	"memory":         {script: `while [ $2 = true ] && [ "$(ulimit -d)" = unlimited ]; do sleep 0.02; done; head -c 400000000 /dev/zero | tail -c 300000000 >/dev/null`, bound: func(s *Spec) { s.MemoryLimit = 32 << 20 }, ended: func(e Exit) bool { return e.Code != 0 }},
	"file":           {script: `(while [ "$(ulimit -f)" = unlimited ]; do sleep 0.02; done; head -c 5000000 /dev/zero >file && kill -KILL $$) & wait; exit 3`, bound: func(s *Spec) { s.FileSize = 1 << 20 }, ended: code(3)},
	"code":           {script: `exit 3`, ended: code(3)},
	"signal":         {script: `kill -SEGV $$`, ended: func(e Exit) bool { return e.Signal == syscall.SIGSEGV }},
}

func code(n int) func(Exit) bool { return func(e Exit) bool { return e.Code == n } }

func hurry(s *Spec) { s.Timeout, s.Grace = 150*time.Millisecond, 50*time.Millisecond }

func hasty(s *Spec) { s.Grace = 50 * time.Millisecond }

func stop(stop, _ func()) { stop() }

func terminated(e Exit) bool { return e.TimedOut && e.Signal != 0 }

func killed(e Exit) bool { return e.Cancelled && e.Signal == syscall.SIGKILL }

// misbehave runs a hostile program. It returns an error if something is left of
// it or it ended in a wrong way.
func misbehave(h hostile, dir, token string, bare bool) error {
	for name, text := range map[string]string{"chain": chain, "forest": forest} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	toKill, kill := context.WithCancel(context.Background())
	defer kill()
	spec := Spec{
		Path: "/bin/sh", Args: []string{"-c", h.script, "hostile", token, strconv.FormatBool(bare || !cgroup.Probe().Memory)}, Dir: dir,
		Env: []string{"PATH=/usr/bin:/bin"}, MaxStdout: 1 << 20, Timeout: time.Minute, Kill: toKill,
		Log: &Log{HeadSize: 1 << 10, TailSize: 1 << 10}, Event: func([]byte) {},
	}
	if h.ready != nil {
		spec.Event = func([]byte) { h.ready(cancel, kill) }
	}
	if h.bound != nil {
		h.bound(&spec)
	}
	exit, err := runIn(bare)(ctx, spec)
	left := traces(token)
	exit.Stdout = nil
	switch {
	case err != nil:
		return err
	case len(left) > 0:
		return fmt.Errorf("left behind: %v; %+v", left, exit)
	case exit.Escaped > 0:
		return fmt.Errorf("%d are said to have escaped", exit.Escaped)
	case !h.ended(exit):
		return fmt.Errorf("it ended like this: %+v", exit)
	}
	return nil
}

// traces lists the processes with the token on their command line. It does not
// use the code under test.
func traces(token string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if text, _ := os.ReadFile(f); strings.Contains(string(text), token) {
			found = append(found, f+" "+strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

func newToken() string { return fmt.Sprint(1e8 + rand.IntN(9e8)) }

func TestHostile(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, bare bool) {
		for name, h := range hostiles {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if err := misbehave(h, t.TempDir(), newToken(), bare); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// A mix of hostile programs, four at a time, leaves no process, goroutine,
// descriptor or memory behind. No other test may run at the same time.
func TestHostileMix(t *testing.T) {
	count := fromEnv(t, "RUNNERBEAN_CHAOS_CHILDREN", 60)
	seed := fromEnv(t, "RUNNERBEAN_CHAOS_SEED", rand.IntN(1e9))
	t.Logf("replay: RUNNERBEAN_CHAOS_SEED=%d RUNNERBEAN_CHAOS_CHILDREN=%d go test -run '^TestHostileMix$'", seed, count)
	for _, bare := range []bool{true, false} {
		t.Run(fmt.Sprint("bare=", bare), func(t *testing.T) {
			if !bare {
				needCgroup(t)
			}
			if err := misbehave(hostiles["session"], t.TempDir(), newToken(), bare); err != nil {
				t.Fatal(err) // this run opens what later runs use again
			}
			before := usage()
			peak := mix(t, uint64(seed), count/2, bare)
			until(t, "all children are reaped", func() bool {
				_, err := Run(context.Background(), Spec{Path: "/bin/true"})
				return err == nil && len(ownChildren()) == 0
			})
			after := usage()
			if after.goroutines > before.goroutines || after.files > before.files || after.heap > before.heap+8<<20 {
				t.Errorf("before %+v, after %+v", before, after)
			}
			if peak > before.heap+64<<20 {
				t.Errorf("the heap grew from %d to %d", before.heap, peak)
			}
			t.Logf("%d programs; heap before, at most, after: %d, %d, %d KiB", count/2, before.heap>>10, peak>>10, after.heap>>10)
		})
	}
}

// mix runs the programs and returns the size of the largest heap.
func mix(t *testing.T, seed uint64, count int, bare bool) (peak uint64) {
	names := slices.Sorted(maps.Keys(hostiles)) // the same for every run with this seed
	random := rand.New(rand.NewPCG(seed, 0))
	todo := make(chan string)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for name := range todo {
				if err := misbehave(hostiles[name], t.TempDir(), newToken(), bare); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				mu.Lock()
				peak = max(peak, m.HeapAlloc)
				mu.Unlock()
			}
		})
	}
	for range count {
		todo <- names[random.IntN(len(names))]
	}
	close(todo)
	wg.Wait()
	return peak
}

// used is what this process uses.
type used struct {
	goroutines, files int
	heap              uint64
}

// usage does not count what is kept for the next run: files of cgroups and
// event descriptors.
func usage() (u used) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap, u.goroutines = m.HeapAlloc, runtime.NumGoroutine()
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		to, err := os.Readlink(l)
		if err == nil && !strings.Contains(to, "/runnerbean-run-") && !strings.Contains(to, "[eventfd]") {
			u.files++
		}
	}
	return u
}

func ownChildren() (pids []string) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, l := range lists {
		text, _ := os.ReadFile(l)
		pids = append(pids, strings.Fields(string(text))...)
	}
	return pids
}

func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
