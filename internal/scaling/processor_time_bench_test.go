package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkProcessorTime measures the processor time of a job on one node with a ledger in a
// file, and on a pool of two nodes with PostgreSQL: an input of 10 KiB that cat copies, four
// slots for each node, three times in turn. RUNNERBEAN names the binary.
func BenchmarkProcessorTime(b *testing.B) {
	binary := os.Getenv("RUNNERBEAN")
	if binary == "" {
		return // bench-once has no binary
	}
	cat, err := os.ReadFile("/bin/cat")
	if err != nil {
		b.Fatal(err)
	}
	whole := map[string]float64{}
	for n := range 6 {
		kind := []string{"one", "pool"}[n%2]
		b.Run(fmt.Sprintf("%s/%d", kind, n/2+1), func(b *testing.B) {
			nodes, dsn := 1, ""
			if kind == "pool" {
				nodes, dsn = 2, newDatabase(b)
			}
			p := startNodes(b, binary, nodes, dsn, string(cat))
			input := `"` + strings.Repeat("b", 10<<10) + `"`
			p.run(300, input) // connections and caches
			const count = 3000
			before := childTimes(b, binary)
			for b.Loop() {
				p.run(count, input)
			}
			whole[kind] = 0
			for part, took := range childTimes(b, binary) {
				each := float64((took - before[part]).Microseconds()) / 1000 / count / float64(b.N)
				whole[kind] += each
				b.ReportMetric(each, part+"-ms")
			}
			b.ReportMetric(whole[kind], "whole-ms")
			if kind == "pool" {
				b.ReportMetric(whole["pool"]/whole["one"], "ratio")
			}
		})
	}
}

// childTimes returns the processor times of the children of this process by the names of
// their binaries. What a child has started counts for it, except programs of nodes.
func childTimes(b *testing.B, node string) map[string]time.Duration {
	b.Helper()
	times := map[string]time.Duration{}
	for _, pid := range childrenOf("self") {
		name, own, ended := statTimes(pid)
		for _, child := range childrenOf(pid) {
			_, running, ended2 := statTimes(child)
			ended += running + ended2
		}
		if name == filepath.Base(node) {
			times["programs"] += ended
			name, ended = "nodes", 0
		}
		times[name] += own + ended
	}
	if times["nodes"] == 0 {
		b.Fatal("no time of nodes was found in /proc")
	}
	return times
}

func childrenOf(pid string) (list []string) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%s/task/*/children", pid))
	for _, file := range threads {
		text, _ := os.ReadFile(file)
		list = append(list, strings.Fields(string(text))...)
	}
	return list
}

// statTimes returns the name of a process, its processor time, and that of its ended children.
func statTimes(pid string) (name string, own, ended time.Duration) {
	const tick = 10 * time.Millisecond // of /proc, on every Linux
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if err != nil || begin < 0 || end < begin {
		return "", 0, 0
	}
	fields := strings.Fields(string(text[end+1:]))
	at := func(i int) time.Duration {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return time.Duration(n) * tick
	}
	return string(text[begin+1 : end]), at(11) + at(12), at(13) + at(14)
}
