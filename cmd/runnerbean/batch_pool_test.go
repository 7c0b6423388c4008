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

// TestPoolBatchOfKilledServers kills the database, beanstalkd with and without the loss of its
// disk, and both nodes, while a batch runs. The files are those of a run without that.
func TestPoolBatchOfKilledServers(t *testing.T) {
	for name, batch := range faultyBatches {
		t.Run(name, func(t *testing.T) {
			a, b, database, queue := poolAndServers(t)
			g := gate(t.TempDir())
			for _, n := range []*process{a, b} {
				batch.install(n)
				g.hold(n, batch.program)
				n.start("worker")
			}
			wantBundle, wantFrames := a.bundleAfter(batch, g)
			run := func() {
				if err := database.Run(); err != nil {
					t.Fatal(err)
				}
			}
			crash := func() { database.Crash(); run() }
			lost := func() { queue.Kill(); queue.Wipe(); queue.Restart() }
			restart := func(n *process) func() {
				return func() { n.end(syscall.SIGKILL); n.start("worker") }
			}
			all := func() { database.Crash(); lost(); run(); restart(b)() }
			bundle, frames := a.bundleAfter(batch, g, crash, queue.Restart, lost, restart(a), all)
			if bundle != wantBundle || frames != wantFrames {
				t.Errorf("%s and %s, want %s and %s", bundle, frames, wantBundle, wantFrames)
			}
		})
	}
}
