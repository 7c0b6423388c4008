package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// BenchmarkNodes measures real pools on one machine, for a comparison with the simulation:
// 1, 2 and 4 node processes with four slots on a PostgreSQL that syncs. RUNNERBEAN names the
// binary.
func BenchmarkNodes(b *testing.B) {
	binary := os.Getenv("RUNNERBEAN")
	if binary == "" {
		return // bench-once has no binary
	}
	for _, program := range []struct {
		name, script string
		perNode      int // jobs
	}{{"sleep-200ms", "sleep 0.2", 200}, {"sleep-20ms", "sleep 0.02", 500}, {"true", ":", 500}} {
		for _, n := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("%s/%d", program.name, n), func(b *testing.B) {
				p := startNodes(b, binary, n, newDatabase(b), "#!/bin/sh\n"+program.script+"\necho 1\n")
				all := 0
				for b.Loop() {
					p.run(n*program.perNode, "1")
					all += n * program.perNode
				}
				b.ReportMetric(float64(all)/b.Elapsed().Seconds(), "jobs/s")
			})
		}
	}
}

type realNodes struct {
	*testing.B
	url    string
	client *jobs.Client
	ended  int
}

// newDatabase starts a PostgreSQL that syncs, and returns the URL of an empty ledger.
func newDatabase(b *testing.B) string {
	s, err := postgrestest.Start("-c", "fsync=on")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	dsn, err := s.NewSchema()
	if err != nil {
		b.Fatal(err)
	}
	return dsn
}

// startNodes starts n nodes on a ledger; "" is a file of the one node.
func startNodes(b *testing.B, binary string, n int, dsn, program string) *realNodes {
	queue := queuetest.Start(b)
	dir := b.TempDir()
	programs := filepath.Join(dir, "programs", "p")
	if err := os.MkdirAll(programs, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(programs, "run"), []byte(program), 0o755); err != nil {
		b.Fatal(err)
	}
	p := &realNodes{B: b}
	for i := range n {
		p.startNode(binary, i, dir, dsn, queue.Addr)
	}
	var err error
	if p.client, err = jobs.New(jobs.Config{Beanstalkd: []string{queue.Addr}, BaseURL: p.url}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.client.Close() })
	return p
}

func (p *realNodes) startNode(binary string, i int, dir, dsn, queue string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	cmd := exec.Command(binary, "worker")
	for name, value := range map[string]string{
		"LEDGER": cmp.Or(dsn, "sqlite:"+filepath.Join(dir, "ledger.db")), "STORE": filepath.Join(dir, "store"), "DATA": filepath.Join(dir, fmt.Sprint("data", i)), "PROGRAMS": filepath.Join(dir, "programs"),
		"BEANSTALKD": queue, "LISTEN": addr, "NODE": fmt.Sprint("node", i), "SLOTS": "4", "MIN_FREE": "1MiB",
	} {
		cmd.Env = append(cmd.Env, "RUNNERBEAN_"+name+"="+value)
	}
	cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	p.url = "http://" + addr
	p.until("a node is ready", func() bool { return p.get("/readyz", nil) })
}

func (p *realNodes) until(what string, yes func() bool) {
	for end := time.Now().Add(2 * time.Minute); !yes(); time.Sleep(250 * time.Millisecond) {
		if time.Now().After(end) {
			p.Fatalf("never: %s", what)
		}
	}
}

func (p *realNodes) get(path string, into any) bool {
	resp, err := http.Get(p.url + path)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK && (into == nil || json.NewDecoder(resp.Body).Decode(into) == nil)
}

// run puts jobs and waits until all have succeeded.
func (p *realNodes) run(n int, input string) {
	list := make([]jobs.Job, n)
	for i := range list {
		list[i] = jobs.Job{Program: "p", Input: jobs.Input{Data: []byte(input)}}
	}
	if _, err := p.client.EnqueueBatch(context.Background(), list); err != nil {
		p.Fatal(err)
	}
	p.ended += n
	p.until("all jobs succeed", func() bool {
		var o struct {
			Counts map[string]int `json:"counts"`
		}
		return p.get("/api/v1/overview", &o) && o.Counts["succeeded"] == p.ended
	})
}
