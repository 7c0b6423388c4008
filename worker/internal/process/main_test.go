package process

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

// childVar makes the test binary run one of programs.
const childVar = "PROCESS_TEST_CHILD"

// programs can be run by tests. They get the arguments after their name.
var programs = map[string]func(args []string){}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVar); name != "" {
		programs[name](os.Args[1:])
		os.Exit(0)
	}
	if err := Subreap(); err != nil && canSubreap {
		panic(err)
	}
	if err := cgroup.Adopt(fmt.Sprint("a test, process ", os.Getpid())); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// bothWays runs a test with cgroups and without.
func bothWays(t *testing.T, do func(t *testing.T, bare bool)) {
	t.Helper()
	t.Run("bare", func(t *testing.T) {
		t.Parallel()
		do(t, true)
	})
	t.Run("cgroup", func(t *testing.T) {
		t.Parallel()
		needCgroup(t)
		do(t, false)
	})
}

// needCgroup skips a test that needs a cgroup. If RUNNERBEAN_NEED_CGROUP is
// set, it fails instead.
func needCgroup(t *testing.T) {
	t.Helper()
	switch i := cgroup.Probe(); {
	case i.Cgroup != "":
	case os.Getenv("RUNNERBEAN_NEED_CGROUP") != "":
		t.Fatalf("there are no cgroups: %v", i)
	default:
		t.Skipf("there are no cgroups: %v", i)
	}
}

// child returns a Spec that runs one of programs.
func child(t testing.TB, name string, args ...string) Spec {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Spec{Path: exe, Args: args, Env: childEnv(name), Dir: t.TempDir()}
}

func childEnv(name string) []string {
	env := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, childVar+"=") })
	// Without this the race detector makes a program sleep for a second at its
	// end.
	return append(env, childVar+"="+name, "GORACE=atexit_sleep_ms=0")
}

// runIn returns Run or, if bare, what Run does without cgroups.
func runIn(bare bool) func(context.Context, Spec) (Exit, error) {
	if !bare {
		return Run
	}
	return func(ctx context.Context, spec Spec) (Exit, error) {
		return run(ctx, spec, func() *cgroup.Cgroup { return nil })
	}
}

func mustRun(t testing.TB, spec Spec) Exit {
	t.Helper()
	return mustRunIn(t, false, spec)
}

// mustRunIn runs a program that must start. Its timeout only ends a test that
// hangs.
func mustRunIn(t testing.TB, bare bool, spec Spec) Exit {
	t.Helper()
	if spec.Timeout == 0 {
		spec.Timeout = time.Minute
	}
	if spec.Log == nil {
		log := &Log{}
		spec.Log = log
		defer func() {
			if t.Failed() && log.Total() > 0 {
				t.Logf("%s %v: %s", spec.Path, spec.Args, log.Tail(4096))
			}
		}()
	}
	exit, err := runIn(bare)(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return exit
}

// pid parses a process id that a program printed.
func pid(t testing.TB, text []byte) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// until polls a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// number parses an argument of a program.
func number(args []string, i int) int {
	n, err := strconv.Atoi(args[i])
	if err != nil {
		panic(err)
	}
	return n
}

// hang sleeps for longer than any test.
func hang() { time.Sleep(10 * time.Minute) }
