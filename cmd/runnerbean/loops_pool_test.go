//go:build pool

package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestPoolLoop kills one node of a pool, then the other. The loop goes on at the one that is left, and
// ends for good at any.
func TestPoolLoop(t *testing.T) {
	a, b, _ := poolOnServers(t)
	for _, n := range []*process{a, b} {
		n.install("tick", `read -r in; echo "[$in,\"$RUNNERBEAN_JOB_ID\"]"`)
		n.start("worker")
		n.until("the program", func() bool { return strings.Contains(n.text("/api/v1/programs"), `"tick"`) })
	}
	first := idOf(strings.TrimSpace(a.must("submit", "--program", "tick", "--data", "7", "--repeat", "1s")))
	b.runs(first, 3)
	for _, n := range [][2]*process{{a, b}, {b, a}} {
		killed, other := n[0], n[1]
		killed.end(syscall.SIGKILL)
		other.runs(first, other.loop(first).Runs+2)
		killed.start("worker")
	}
	b.must("end-loop", first)
	a.until("the end", func() bool { return a.loop(first).State.Final() })
	end := a.loop(first)
	if r, _ := b.get(b.url + "/" + first + "/latest"); r.State != jobs.Succeeded || r.ID != end.Latest || !strings.Contains(string(r.Result), r.ID) {
		t.Errorf("the newest success is %+v of %+v", r, end)
	}
	for n := 1; n < end.Runs; n++ { // each came after a success
		if r, _ := a.get(fmt.Sprintf("%s/%s/runs/%d", a.url, first, n)); r.State != jobs.Succeeded {
			t.Errorf("run %d is %s", n, r.State)
		}
	}
}
