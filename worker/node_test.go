package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// child has the settings of a node in another process. It pauses once the file PauseAt
// exists.
type child struct{ Dir, Addr, Instance, PauseAt string }

// runNode runs a node until it is killed.
func runNode(spec string) int {
	if err := childNode(spec); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}

func childNode(spec string) error {
	var c child
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	ctx := context.Background()
	l, err := ledger.Open(ctx, ledger.Config{DSN: "sqlite:" + filepath.Join(c.Dir, "ledger.db")})
	if err != nil {
		return err
	}
	s, err := store.Open(context.Background(), filepath.Join(c.Dir, "store"))
	if err != nil {
		return err
	}
	if err := l.Nodes.Register(ctx, nodes.Node{Name: "n1", Instance: c.Instance, Home: c.Dir}); err != nil {
		return err
	}
	w, err := New(Config{
		Queue: queue.Config{Addrs: []string{c.Addr}}, Prefix: testPrefix, Ledger: l, Events: l.Events, Nodes: l.Nodes, Queues: l.Queues, Store: s, Checkpoints: l.Checkpoints, Packages: l.Packages, Results: l.Results, Published: published.New(l.Results, s), LedgerResults: 64 << 10, Node: "n1", Instance: c.Instance,
		BaseURL: testBase, Programs: filepath.Join(c.Dir, "programs"), Scratch: filepath.Join(c.Dir, "scratch"), Slots: 1,
	})
	if err != nil {
		return err
	}
	if c.PauseAt != "" {
		go pauseAt(w, c.PauseAt)
	}
	return w.Run(ctx, ctx)
}

func pauseAt(w *Worker, path string) {
	for {
		if _, err := os.Stat(path); err == nil {
			w.Pause("a test")
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// TestKilledInAPause kills a node whose program, with a child in a session of its own,
// is paused. The next start of the node ends both.
func TestKilledInAPause(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	count, pause := filepath.Join(r.dir, "count"), filepath.Join(r.dir, "pause")
	r.install("p", `setsid sh -c 'while :; do printf x >>`+count+`; sleep 0.005; done' &
		echo '{"message":"running"}' >&3; wait`)
	instance := jobs.NewID()
	cmd := r.startChild(child{Dir: r.dir, Addr: r.bean.Addr, Instance: instance, PauseAt: pause})
	r.awaitMessage(r.submit(job("p")))
	ticks := func() int64 {
		info, err := os.Stat(count)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	r.counts(ticks)
	r.must(os.WriteFile(pause, nil, 0o600))
	r.still(ticks)
	r.must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	left := func() (found []string) {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range files {
			if text, _ := os.ReadFile(f); strings.Contains(string(text), count) {
				found = append(found, f)
			}
		}
		return found
	}
	if len(left()) == 0 {
		t.Log("the kill left nothing, so there is nothing to see here")
	}
	r.recover(instance)
	w, err := New(r.cfg)
	r.must(err)
	w.Hold("so that nothing is started")
	r.run(w)
	r.until("nothing is left", func() bool { return len(left()) == 0 })
}

// TestKilledNode kills a node with SIGKILL while it runs a job. The next start of the
// node takes the job back and runs it at once. There is one result.
func TestKilledNode(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	open := r.gate("slow")
	instance := jobs.NewID()
	cmd := r.startChild(child{Dir: r.dir, Addr: r.bean.Addr, Instance: instance})
	id := r.submit(job("slow"))
	r.awaitMessage(id)
	r.must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed

	r.recover(instance)
	open()
	r.start()
	record := r.await(id, jobs.Succeeded)
	if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeLost, jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
		t.Error(diff)
	}
	if record.Spent != 0 || r.result(id).Attempt != 2 {
		t.Errorf("%d spent, result of attempt %d", record.Spent, r.result(id).Attempt)
	}
	r.tubeEmpty("slow")
	if left, _ := filepath.Glob(filepath.Join(r.cfg.Scratch, "lane-*", "*")); len(left) > 1 {
		t.Errorf("the scratch folder was not swept: %v", left)
	}
}
