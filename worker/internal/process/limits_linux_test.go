package process

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	programs["limits"] = func(args []string) { // waits until the limits are set, and prints them
		var l syscall.Rlimit
		for l.Max != uint64(number(args, 0)) {
			_ = syscall.Getrlimit(unix.RLIMIT_NOFILE, &l)
		}
		for _, which := range []int{unix.RLIMIT_NOFILE, unix.RLIMIT_FSIZE, unix.RLIMIT_CORE} {
			for done := false; !done; {
				_ = syscall.Getrlimit(which, &l)
				done = l.Cur == l.Max && l.Max < 1<<40
			}
			fmt.Print(l.Cur, " ")
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, bare bool) {
		spec := child(t, "limits", "77")
		spec.OpenFiles, spec.FileSize = 77, 1<<30
		if exit := mustRunIn(t, bare, spec); string(exit.Stdout) != "77 1073741824 1 " && string(exit.Stdout) != "77 1073741824 0 " {
			t.Errorf("%s, %+v", exit.Stdout, exit)
		}
	})
}

// A program that waits for a working descendant is not stalled, even if the
// descendant is in another session and an orphan. The descendant works for
// longer than the limit, which is long enough for a busy machine.
func TestNotStalled(t *testing.T) {
	t.Parallel()
	const work = `(setsid sh -c 'end=$(($(date +%s) + 6)); while [ $(date +%s) -lt $end ]; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done; echo done; kill $0' $$ &); sleep 60 & wait`
	bothWays(t, func(t *testing.T, bare bool) {
		exit := mustRunIn(t, bare, Spec{
			Path: "/bin/sh", Args: []string{"-c", work}, Env: []string{"PATH=/usr/bin:/bin"},
			Stall: 4 * time.Second,
		})
		if exit.Stalled || exit.Signal != syscall.SIGTERM || string(exit.Stdout) != "done\n" {
			t.Errorf("%+v", exit)
		}
	})
}
