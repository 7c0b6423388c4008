package worker

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// gates installs a program of which each attempt waits for open. It leaves a file and
// prints out, in which $N is the number of the attempt.
func (r *fixture) gates(name, out string) (open func(attempt int)) {
	gate := filepath.Join(r.dir, name+".gate.")
	r.install(name, `N=$RUNNERBEAN_ATTEMPT; echo '{"message":"running"}' >&3
		while [ ! -e `+gate+`$N ]; do sleep 0.01; done; echo `+out+` | tee out/f`)
	return func(attempt int) { r.must(os.WriteFile(gate+strconv.Itoa(attempt), nil, 0o600)) }
}

func (r *fixture) has(key string) bool {
	r.t.Helper()
	object, err := r.store.Open(context.Background(), key)
	if err != nil {
		return false
	}
	object.Close()
	return true
}

func (r *fixture) countEvents(id, kind string) (n int) {
	r.t.Helper()
	list, err := r.ledger.Events.Newest(context.Background(), id, 100)
	r.must(err)
	for _, e := range list {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func (n *node) idle() bool { return len(n.running.list()) == 0 }

// TestFence runs a first attempt that the ledger takes for lost, and a second one. The
// second one has the result, whichever ends first.
func TestFence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second int
		out           string
	}{
		"newest first, equal":     {2, 1, "7"},
		"newest first, different": {2, 1, "$N"},
		"stale first, equal":      {1, 2, "7"},
		"stale first, different":  {1, 2, "$N"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Only the fence may find out that the first attempt is stale.
			r := newFixture(t, func(c *Config) { c.holdsEvery = time.Hour })
			open := r.gates("p", c.out)
			n := r.start()
			j := job("p")
			r.submit(j)
			r.awaitMessage(j.ID)
			r.recover(r.cfg.Instance)
			r.put(j)
			r.until("there are two attempts", func() bool { return len(n.running.list()) == 2 })

			open(c.first)
			r.until("one has ended", func() bool { return len(n.running.list()) == 1 })
			if published := r.has(store.ResultKey(j.ID)); published != (c.first == 2) {
				t.Errorf("after attempt %d a result is published: %v", c.first, published)
			}
			if c.first == 1 && !r.has(store.AsideKey(j.ID, 1)) {
				t.Error("the result of the first attempt is not kept")
			}
			var before string
			if c.first == 2 {
				before = string(r.object(store.ResultKey(j.ID)))
			}
			open(c.second)
			r.until("both have ended", n.idle)
			r.await(j.ID, jobs.Succeeded)
			if after := string(r.object(store.ResultKey(j.ID))); before != "" && after != before {
				t.Errorf("the result was %s and is %s", before, after)
			}
			r.checkSecondWon(j.ID, c.out == "$N")
		})
	}
}

// checkSecondWon checks that the job has the result of the second attempt. That of the
// first must be kept aside and recorded if it differs, and be gone otherwise.
func (r *fixture) checkSecondWon(id string, differs bool) {
	r.t.Helper()
	if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeLost, jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
		r.t.Error(diff)
	}
	if got := r.result(id); got.Attempt != 2 || differs && string(got.Result) != "2" {
		r.t.Errorf("the result is %s, of attempt %d", got.Result, got.Attempt)
	}
	conflicts := 0
	if differs {
		conflicts = 1
	}
	if got := r.countEvents(id, "conflict"); got != conflicts {
		r.t.Errorf("%d conflicts are counted, want %d", got, conflicts)
	}
	if differs && !strings.Contains(string(r.object(store.AsideKey(id, 1))), `"result":1`) {
		r.t.Errorf("aside is %s", r.object(store.AsideKey(id, 1)))
	}
	got := []bool{r.has(store.AsideKey(id, 1)), r.has(store.FileKey(id, 1, "f")), r.has(store.FileKey(id, 2, "f"))}
	if diff := cmp.Diff([]bool{differs, differs, true}, got); diff != "" {
		r.t.Errorf("kept aside, file of the first, file of the second: %s", diff)
	}
}

// TestFailsAfterASuccess fails a second attempt after the first one, of a node that was
// suspended before its publish, has published.
func TestFailsAfterASuccess(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate := filepath.Join(r.dir, "gate")
	r.install("p", `echo '{"message":"running"}' >&3; while [ ! -e `+gate+` ]; do sleep 0.01; done; exit 65`)
	j := job("p")
	r.accept(j)
	r.lose(j.ID)
	r.put(j)
	r.start()
	r.awaitMessage(j.ID)
	r.publishFor(j, 1, "1")
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(j.ID, jobs.Succeeded)
	if got := r.result(j.ID); got.Attempt != 1 {
		t.Errorf("the result is of attempt %d", got.Attempt)
	}
}

// TestStale checks that a program stops whose attempt the ledger takes for lost, when
// it reports or when the ledger is asked. The only slot is free only then.
func TestStale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		every  time.Duration
	}{
		"noisy":  {`while :; do echo '{"message":"running"}' >&3; sleep 0.02; done`, time.Hour},
		"silent": {`echo '{"message":"running"}' >&3; exec sleep 1000`, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(cfg *Config) {
				cfg.Slots, cfg.Jitter, cfg.holdsEvery = 1, func() float64 { return 0 }, c.every
			})
			r.install("p", `[ $RUNNERBEAN_ATTEMPT = 1 ] || { echo 2; exit; }; `+c.script)
			r.start()
			id := r.submit(job("p"))
			r.awaitMessage(id)
			r.recover(r.cfg.Instance)
			r.await(id, jobs.Succeeded)
			if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeLost, jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPausedNode suspends a node while its program runs. Another node publishes. The
// first one then stops its program and changes nothing.
func TestPausedNode(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	pids := filepath.Join(r.dir, "pid.")
	r.install("p", `echo $$ >`+pids+`$RUNNERBEAN_ATTEMPT; echo '{"message":"running"}' >&3
		[ $RUNNERBEAN_ATTEMPT = 2 ] || exec sleep 1000; echo 2`)
	instance := jobs.NewID()
	cmd := r.startChild(child{Dir: r.dir, Addr: r.bean.Addr, Instance: instance})
	j := job("p")
	r.submit(j)
	r.awaitMessage(j.ID)
	r.must(cmd.Process.Signal(syscall.SIGSTOP))
	r.recover(instance)
	r.cfg.Node, r.cfg.Scratch = "n2", t.TempDir()
	r.start()
	r.put(j)
	r.await(j.ID, jobs.Succeeded)
	before := string(r.object(store.ResultKey(j.ID)))

	text, err := os.ReadFile(pids + "1")
	r.must(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	r.must(err)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the program of the paused node does not run: %v", err)
	}
	r.must(cmd.Process.Signal(syscall.SIGCONT))
	r.until("the stale program has ended", func() bool { return syscall.Kill(pid, 0) != nil })
	if after := string(r.object(store.ResultKey(j.ID))); after != before {
		t.Errorf("the result was %s and is %s", before, after)
	}
}

// startChild runs a node in a process of its own until the test ends.
func (r *fixture) startChild(c child) *exec.Cmd {
	r.t.Helper()
	spec, err := json.Marshal(c)
	r.must(err)
	self, err := os.Executable()
	r.must(err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), nodeEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	r.must(cmd.Start())
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	return cmd
}
