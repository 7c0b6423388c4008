package main

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// BenchmarkChain runs jobs of which each needs the one before, on one node with a ledger in a
// file and on a pool of two nodes with PostgreSQL. link-ms is the median of the time from the
// end of a program to the begin of the next one, spawn-ms that of the same program without
// Runnerbean. RUNNERBEAN names the binary.
func BenchmarkChain(b *testing.B) {
	binary := os.Getenv("RUNNERBEAN")
	if binary == "" {
		return // bench-once has no binary
	}
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		b.Fatal(err)
	}
	for _, kind := range []string{"one", "pool"} {
		b.Run(kind, func(b *testing.B) {
			nodes, dsn := 1, ""
			if kind == "pool" {
				nodes, dsn = 2, newDatabase(b)
			}
			p := startNodes(b, binary, nodes, dsn, string(cat))
			p.run(20, "1")
			var links []time.Duration
			for b.Loop() {
				links = append(links, p.chain(1000)...)
			}
			slices.Sort(links)
			b.ReportMetric(milliseconds(links[len(links)/2]), "link-ms")
			b.ReportMetric(milliseconds(links[len(links)*99/100]), "link-p99-ms")
			b.ReportMetric(milliseconds(spawn(b, 200)), "spawn-ms")
		})
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// chain puts n jobs of which each needs the one before, and waits for the last. It returns the
// times from the end of the program of one to the begin of the next.
func (p *realNodes) chain(n int) (links []time.Duration) {
	p.Helper()
	list := make([]jobs.Job, n)
	for i := range list {
		list[i] = jobs.Job{ID: jobs.NewID(), Program: "p", Input: jobs.Input{Data: []byte("1")}}
		if i > 0 {
			list[i].Needs = []string{list[i-1].ID}
		}
	}
	if _, err := p.client.EnqueueBatch(context.Background(), list); err != nil {
		p.Fatal(err)
	}
	p.ended += n
	p.until("the last job succeeds", func() bool {
		var r jobs.Result
		return p.get("/"+list[n-1].ID+"?format=json", &r) && r.State == jobs.Succeeded
	})
	var before jobs.Result
	for i := range list {
		var r jobs.Result
		if !p.get("/"+list[i].ID+"?format=json", &r) {
			p.Fatalf("job %d has no result", i)
		}
		if i > 0 {
			links = append(links, r.Started.Sub(before.Finished))
		}
		before = r
	}
	return links
}

// spawn returns the mean time of n runs of cat, one after another.
func spawn(b *testing.B, n int) time.Duration {
	b.Helper()
	began := time.Now()
	for range n {
		cmd := exec.Command("/bin/cat")
		cmd.Stdin = strings.NewReader("1")
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began) / time.Duration(n)
}
