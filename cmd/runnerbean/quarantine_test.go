package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// killersPool prepares two nodes with four slots and one ledger, a program that kills its
// node, and one that is harmless.
func killersPool(t *testing.T, server string) (nodes []*process, records *ledger.Ledger) {
	folder := t.TempDir()
	dsn := "sqlite:" + filepath.Join(folder, "ledger.db")
	for i := range 2 {
		p := newNode(t, server)
		p.env = append(p.env, fmt.Sprintf("RUNNERBEAN_NODE=n%d", i+1), "RUNNERBEAN_SLOTS=4", "RUNNERBEAN_LEASE=2s",
			"RUNNERBEAN_LEDGER="+dsn, "RUNNERBEAN_STORE=file://"+filepath.Join(folder, "store"))
		for _, kv := range p.env {
			if programs, ok := strings.CutPrefix(kv, "RUNNERBEAN_PROGRAMS="); ok {
				write(t, filepath.Join(programs, "kills"), "#!/bin/sh\nkill -9 $PPID\nexec sleep 1000\n")
				write(t, filepath.Join(programs, "innocent"), "#!/bin/sh\nsleep 0.2\ncat\n")
			}
		}
		nodes = append(nodes, p)
	}
	records, err := ledger.Open(t.Context(), ledger.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { records.Close() })
	return nodes, records
}

// TestProgramsThatKillNodesHarmNoOtherJob checks that jobs that kill nodes end as failed,
// and all other jobs as succeeded.
func TestProgramsThatKillNodesHarmNoOtherJob(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	nodes, records := killersPool(t, server.Addr)
	producer, err := queue.NewProducer(queue.Config{Addrs: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	programOf := map[string]string{}
	var documents []queue.Message
	for i := range 40 {
		id, program := jobs.NewID(), "innocent"
		if i%20 == 1 {
			program = "kills"
		}
		programOf[id] = program
		documents = append(documents, queue.Message{Tube: queue.InboxTube("runnerbean"), TTR: time.Minute, Body: fmt.Appendf(nil,
			`{"id":%q,"program":%q,"input":{"data":1},"result":{"url":"https://results.example/%s"}}`, id, program, id)})
	}
	nodes[0].start("worker") // so that the programs are known
	nodes[0].end(syscall.SIGTERM)
	_, err = producer.PutAll(t.Context(), documents)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range nodes {
		p.supervise()
	}
	deadline := time.Now().Add(4 * patience)
	for id, program := range programOf {
		r, err := records.Get(t.Context(), id)
		for ; errors.Is(err, ledger.ErrUnknown) || err == nil && !r.State.Final(); r, err = records.Get(t.Context(), id) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is %s: %+v\n%s\n%s", program, r.State, r, nodes[0].log, nodes[1].log)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		switch program {
		case "innocent":
			if r.State != jobs.Succeeded {
				t.Errorf("a job that harms nobody is %s: %+v", r.State, r.Error)
			}
		case "kills":
			want := "lost 2 times beside other jobs and 3 times alone"
			if r.State != jobs.Failed || r.Error.Class != jobs.OutcomeLost || !strings.Contains(r.Error.Message, want) || r.Attempt != 5 {
				t.Errorf("it is %s after %d attempts: %+v", r.State, r.Attempt, r.Error)
			}
		}
	}
}

// supervise restarts a node that ends, as a service manager does.
func (p *process) supervise() {
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.log = &lockedBuffer{}
	var mu sync.Mutex
	var cmd *exec.Cmd
	ended, done := false, make(chan struct{})
	next := func() bool {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			return false
		}
		cmd = exec.Command(self, "worker")
		cmd.Env, cmd.Stdout, cmd.Stderr = p.env, p.log, p.log
		return cmd.Start() == nil
	}
	go func() {
		defer close(done)
		for next() {
			_ = cmd.Wait()
		}
	}()
	p.t.Cleanup(func() {
		mu.Lock()
		ended = true
		_ = cmd.Process.Kill()
		mu.Unlock()
		<-done
	})
}
