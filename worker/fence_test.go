package worker

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
)

// gates installs a program of which each attempt waits for open. It leaves a file and
// prints out, in which $N is the number of the attempt.
func (r *fixture) gates(name, out string) (open func(attempt int)) {
	gate := filepath.Join(r.dir, name+".gate.")
	r.install(name, `N=$RUNNERBEAN_ATTEMPT; touch `+filepath.Join(r.dir, "started.")+`$N; echo '{"message":"running"}' >&3
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
// second one has the result, whichever ends first. Large results go to the store.
func TestFence(t *testing.T) {
	t.Parallel()
	large := func(value string) string { return `[` + value + `,"` + strings.Repeat("x", 4096) + `"]` }
	for name, c := range map[string]struct {
		first  int    // the attempt that ends first
		result string // of the first attempt
		second string
	}{
		"newest first, equal":               {2, "7", "7"},
		"newest first, different":           {2, "1", "2"},
		"stale first, equal":                {1, "7", "7"},
		"stale first, different":            {1, "1", "2"},
		"newest first, equal and large":     {2, large("7"), large("7")},
		"newest first, different and large": {2, large("1"), large("2")},
		"stale first, equal and large":      {1, large("7"), large("7")},
		"stale first, different and large":  {1, large("1"), large("2")},
		"newest first and small":            {2, large("1"), "2"},
		"newest first and large":            {2, "1", large("2")},
		"stale first and small":             {1, "1", large("2")},
		"stale first and large":             {1, large("1"), "2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Only the fence may find out that the first attempt is stale.
			r := newFixture(t, func(c *Config) { c.holdsEvery, c.LedgerResults = time.Hour, 4096 })
			open := r.gates("p", `"$([ $N = 1 ] && echo '`+c.result+`' || echo '`+c.second+`')"`)
			n := r.start()
			j := job("p")
			r.submit(j)
			r.awaitMessage(j.ID)
			r.recover(r.cfg.Instance)
			r.put(j)
			r.until("there are two attempts", func() bool { return len(n.running.list()) == 2 })

			open(c.first)
			var before string
			if c.first == 1 {
				r.until("the result of the first attempt is kept", func() bool { return r.has(store.AsideKey(j.ID, 1)) })
				if r.published(j.ID) {
					t.Error("the result of the first attempt is published")
				}
			} else {
				r.await(j.ID, jobs.Succeeded)
				before = string(r.document(j.ID))
			}
			open(3 - c.first)
			r.until("both have ended", n.idle)
			r.await(j.ID, jobs.Succeeded)
			n.stop()
			n.wait()
			if after := string(r.document(j.ID)); before != "" && after != before {
				t.Errorf("the result was %s and is %s", before, after)
			}
			if small := len(c.second) < 4096; (r.recorded(j.ID) != nil) != small || r.has(store.ResultKey(j.ID)) == small {
				t.Error("the result is not where its size wants it")
			}
			r.checkSecondWon(j.ID, c.result, c.second)
		})
	}
}

// checkSecondWon checks that the job has the result of the second attempt. That of the
// first must be kept aside and recorded if it differs, and be gone otherwise.
func (r *fixture) checkSecondWon(id, first, second string) {
	r.t.Helper()
	if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeLost, jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
		r.t.Error(diff)
	}
	if got := r.result(id); got.Attempt != 2 || string(got.Result) != second {
		r.t.Errorf("the result is %s, of attempt %d", got.Result, got.Attempt)
	}
	differs, conflicts := first != second, 0
	if differs {
		conflicts = 1
	}
	if got := r.countEvents(id, "conflict"); got != conflicts {
		r.t.Errorf("%d conflicts are counted, want %d", got, conflicts)
	}
	if differs && !strings.Contains(string(r.object(store.AsideKey(id, 1))), `"result":`+first) {
		r.t.Errorf("aside is %s", r.object(store.AsideKey(id, 1)))
	}
	got := []bool{r.has(store.AsideKey(id, 1)), r.has(store.FileKey(id, 1, "f")), r.has(store.FileKey(id, 2, "f"))}
	if diff := cmp.Diff([]bool{differs, differs, true}, got); diff != "" {
		r.t.Errorf("kept aside, file of the first, file of the second: %s", diff)
	}
}

// gatedStore creates its first object, the large result of a first attempt, once the gate
// is open.
type gatedStore struct {
	publish.Store
	once                sync.Once
	reached, gate, made chan struct{}
}

func (s *gatedStore) Create(ctx context.Context, key string, data []byte) error {
	first := false
	s.once.Do(func() { first = true })
	if first {
		close(s.reached)
		<-s.gate
		defer close(s.made)
	}
	return s.Store.Create(ctx, key, data)
}

// TestLargeResultAfterTheFence has a node that is suspended between the fence and the
// object of its large result. The next attempt does not find the object. Its small result
// wins and the object goes, whichever of the two comes first.
func TestLargeResultAfterTheFence(t *testing.T) {
	t.Parallel()
	first := `["1","` + strings.Repeat("x", 4096) + `"]`
	for name, late := range map[string]bool{"before the end": false, "after the end": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &gatedStore{reached: make(chan struct{}), gate: make(chan struct{}), made: make(chan struct{})}
			r := newFixture(t, func(c *Config) {
				s.Store, c.Store, c.holdsEvery, c.LedgerResults = c.Store, s, time.Hour, 4096
			})
			open := r.gates("p", `"$([ $N = 1 ] && echo '`+first+`' || echo 2)"`)
			n := r.start()
			j := job("p")
			r.submit(j)
			open(1)
			receive(t, s.reached)
			r.recover(r.cfg.Instance)
			r.put(j)
			r.until("the second attempt has looked for a result", func() bool {
				_, err := os.Stat(filepath.Join(r.dir, "started.2"))
				return err == nil
			})
			if !late {
				close(s.gate)
				receive(t, s.made)
			}
			open(2)
			r.await(j.ID, jobs.Succeeded)
			if late {
				r.until("the second attempt has deleted its message", func() bool { return r.messages("p") == 1 })
				close(s.gate)
			}
			n.stop()
			n.wait()
			if r.has(store.ResultKey(j.ID)) {
				t.Error("the object of the first attempt stays beside the result")
			}
			r.checkSecondWon(j.ID, first, "2")
		})
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

// TestLateStart fetches an input for so long that the ledger takes the attempt for lost. Its program
// does not start.
func TestLateStart(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan time.Time, 2), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- time.Now()
		<-answer
		_, _ = io.WriteString(w, "1")
	})
	r := newFixture(t, func(c *Config) { c.holdsEvery = time.Hour }) // only the start may find it out
	r.install("p", `touch `+filepath.Join(r.dir, "started.")+`$RUNNERBEAN_ATTEMPT; cat`)
	n := r.start()
	j := job("p")
	j.Input = jobs.Input{URL: url}
	id := r.submit(j)
	since := <-asked
	r.recover(r.cfg.Instance)
	r.until("the start is late", func() bool { return time.Since(since) > longStart })
	close(answer)
	r.await(id, jobs.Succeeded)
	r.until("both have ended", n.idle)
	if _, err := os.Stat(filepath.Join(r.dir, "started.1")); err == nil {
		t.Error("the program of the lost attempt has started")
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
	before := string(r.document(j.ID))

	text, err := os.ReadFile(pids + "1")
	r.must(err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	r.must(err)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the program of the paused node does not run: %v", err)
	}
	r.must(cmd.Process.Signal(syscall.SIGCONT))
	r.until("the stale program has ended", func() bool { return syscall.Kill(pid, 0) != nil })
	if after := string(r.document(j.ID)); after != before {
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
