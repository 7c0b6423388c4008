package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// gatedTask is the input of the program "gated".
type gatedTask struct {
	testbed.Task
	Gate string `json:"gate"` // a FIFO: the program continues when it is gone or its writer has closed it
}

// gated waits at its gate, writes to log, events and files, and prints a
// result.
func gated(c testbed.Call) int {
	var t gatedTask
	if err := json.Unmarshal(c.Input, &t); err != nil {
		return 65
	}
	if f, err := os.Open(t.Gate); err == nil {
		_, _ = io.Copy(io.Discard, f)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 75
	}
	fmt.Fprintln(os.Stderr, "through the gate")
	_, err := os.NewFile(3, "events").WriteString(`{"progress":1,"message":"done"}` + "\n")
	if err != nil || os.WriteFile("out/part.txt", []byte(strings.Repeat(c.ID, 300)), 0o644) != nil {
		return 75
	}
	return testbed.Work(c)
}

// target is a node that gets faults, and a second one with the same ledger and
// store, through which results are read.
type target struct {
	bed    *testbed.Testbed
	node   *testbed.Node
	reader *testbed.Node
	at     testbed.Shared
	rng    *rand.Rand
	count  int
	stored map[string]bool // jobs that have succeeded with a large result
}

func newTarget(ctx context.Context, bed *testbed.Testbed, name, folder string) (*target, error) {
	b, err := bed.NewServer("beanstalkd-" + name)
	if err != nil {
		return nil, err
	}
	if err := b.Up(ctx); err != nil {
		return nil, err
	}
	home, err := bed.Folder("shared-" + name)
	if err != nil {
		return nil, err
	}
	at := testbed.Shared{Beanstalkd: b.Addr, Programs: folder, Ledger: filepath.Join(home, "ledger.db"), Store: filepath.Join(home, "store")}
	t := &target{bed: bed, at: at, rng: bed.Random(name), stored: map[string]bool{}}
	if t.node, err = bed.NewNode(name, at, 1, nil); err != nil {
		return nil, err
	}
	// strace counts by thread. With more processors, a goroutine stays on its
	// thread after a slow call.
	t.node.Process.Env = append(t.node.Process.Env, "GOMAXPROCS=16")
	if t.reader, err = bed.NewNode(name+"-reader", at, 0, nil); err != nil {
		return nil, err
	}
	return t, errors.Join(t.node.Up(ctx), t.reader.Up(ctx))
}

// startGated submits a job and waits until its program is at the gate, which
// open opens.
func (t *target) startGated(ctx context.Context, large bool) (j *testbed.Job, open func(), err error) {
	j, gate := t.newJob(t.rng, large)
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		return nil, nil, err
	}
	if status := t.bed.Submit(ctx, t.reader, j); status != http.StatusCreated {
		return nil, nil, fmt.Errorf("the job was answered with status %d", status)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var writer *os.File
	err = testbed.Until(ctx, 2*time.Millisecond, "the program waits at its gate", func() bool {
		// A node ends after an I/O error of the ledger, perhaps only now.
		if !t.node.Process.Alive() {
			if err := t.restart(ctx); err != nil {
				t.bed.History.Logf("%v", err)
			}
		}
		// This fails until the program has opened the FIFO.
		writer, err = os.OpenFile(gate, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err == nil
	})
	return j, func() { _ = os.Remove(gate); _ = writer.Close() }, err
}

// follow reads the result URL until the job has ended, and restarts the node if
// it ends. It detaches strace after the first error: each thread counts its
// calls, so there could be a second one.
func (t *target) follow(ctx context.Context, j *testbed.Job, trace *tracer) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if !t.node.Process.Alive() {
			if err := t.restart(ctx); err != nil {
				t.bed.History.Logf("%v", err)
				return false
			}
		}
		if s := t.bed.GetResult(ctx, t.reader, j, true); s.Final() {
			return s.State == "succeeded"
		}
		if trace.hit() {
			trace.release()
		}
		if !testbed.Sleep(ctx, 4*time.Millisecond) {
			return false
		}
	}
	return false
}

// restart starts the node again.
func (t *target) restart(ctx context.Context) error {
	err := t.node.Up(ctx)
	if err == nil && !t.node.Process.Alive() {
		err = fmt.Errorf("%s does not start again; see %s", t.node.Process.Name, t.node.Process.LogFile())
	}
	return err
}

// awaitNode waits until the node runs and cannot be killed any more.
func (t *target) awaitNode(ctx context.Context, killed int) error {
	// strace may have detached before it could report the kill.
	if killed == t.node.Process.PID() || t.node.Process.Alive() && !t.node.Healthy(ctx) {
		if err := testbed.Until(ctx, time.Millisecond, "the node is dead", func() bool { return !t.node.Process.Alive() }); err != nil {
			return err
		}
	}
	if !t.node.Process.Alive() {
		return t.restart(ctx)
	}
	if t.node.Process.ExpectEnd(false) {
		t.bed.History.Note(check.Event{What: check.Up, Who: t.node.Process.Name, Text: "it was spared"})
	}
	return nil
}

// expectKill records that strace will kill the node.
func (t *target) expectKill() {
	t.node.Process.ExpectEnd(true)
	t.bed.History.Note(check.Event{What: check.Kill, Who: t.node.Process.Name, Text: "at a system call"})
}

// newJob returns a job whose program waits at a gate, and the path of the gate.
func (t *target) newJob(rng *rand.Rand, large bool) (*testbed.Job, string) {
	t.count++
	gate := fmt.Sprintf("%s/gate-%s-%d", t.bed.Dir, t.node.Process.Name, t.count)
	g := gatedTask{Task: testbed.Task{History: t.bed.History.Path, Seed: rng.Uint64() >> 11, Pad: 9000}, Gate: gate}
	if large {
		g.Pad = testbed.LargePad
	}
	j := t.bed.NewJob(rng, "gated", g, nil)
	j.Answer = g.Answer(j.ID)
	return j, gate
}
