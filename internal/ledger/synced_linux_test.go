package ledger

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/stracetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// stepsEnv makes the test binary take one job to its end. It prints each step after its
// answer.
const stepsEnv = "LEDGER_TEST_STEPS"

func init() {
	if path := os.Getenv(stepsEnv); path != "" {
		takeSteps(path)
		os.Exit(0)
	}
}

func takeSteps(path string) {
	ctx := context.Background()
	l, err := Open(ctx, Config{DSN: "sqlite:" + path})
	say := func(step string) {
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(step + "\n")
	}
	say("opened")
	e := entry(nil)
	_, err = l.Accept(ctx, []Entry{e})
	say("accepted")
	c, err := l.Claim(ctx, e.Job.ID, Owner{Instance: "i1", Node: "n1"}, "")
	if err != nil {
		panic(err)
	}
	_, err = l.Finish(ctx, e.Job.ID, c.Record.Attempt, ending(jobs.Succeeded, jobs.OutcomeSucceeded))
	say("finished")
}

// Accept and Finish answer after everything that they wrote to the log is on the disk.
func TestSyncedBeforeAnswer(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ledger.db")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), stepsEnv+"="+path)
	calls := stracetest.Run(t, cmd, "write", "pwrite64", "fdatasync", "fsync")
	slices.SortFunc(calls, func(a, b stracetest.Call) int { return cmp.Compare(a.Begin, b.Begin) })
	written, synced, answers := 0, false, 0
	for _, c := range calls {
		switch {
		case !c.On(path+"-wal") && !strings.Contains(c.Args, `"accepted\n"`) && !strings.Contains(c.Args, `"finished\n"`):
		case c.Name == "pwrite64":
			written++
			synced = false
		case c.Name == "fdatasync", c.Name == "fsync":
			synced = c.OK()
		default: // an answer
			answers++
			if written == 0 || !synced {
				t.Errorf("answer %d: written to the log %d times, and synced after that: %t", answers, written, synced)
			}
			written = 0
		}
	}
	if answers != 2 {
		t.Errorf("%d answers", answers)
	}
}
