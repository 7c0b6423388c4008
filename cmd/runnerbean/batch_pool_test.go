//go:build pool

package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestPoolBatchOfAKilledNode kills the node that runs a batch, while both nodes draw its frames.
// The other one goes on, and the bundle is the same as without that.
func TestPoolBatchOfAKilledNode(t *testing.T) {
	a, b, _ := poolOnServers(t)
	for _, n := range []*process{a, b} {
		n.installFilm()
		n.start("worker")
		n.until("the programs", func() bool { return strings.Contains(n.text("/api/v1/programs"), `"film"`) })
	}
	id := jobs.NewID()
	a.postJob(filmBatch(id))
	var r jobs.Result
	a.until("some frames", func() bool {
		r, _ = a.get(a.url + "/" + id)
		return r.Counters["succeeded"] >= 8
	})
	killed, other := a, b
	if r.Node == "n2" {
		killed, other = b, a
	}
	killed.end(syscall.SIGKILL)
	other.checkFilm(id)
	if r, _ := other.get(other.url + "/" + id); r.Attempt != 2 || r.Node != other.setting("NODE") {
		t.Errorf("attempt %d at %s", r.Attempt, r.Node)
	}
	killed.start("worker")
	killed.checkFilm(id)
}
