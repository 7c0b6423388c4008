//go:build pool

package main

import (
	"encoding/json"
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

// TestPoolPackage sends a package to one node, whose frames the other one runs. The bucket has the
// files once.
func TestPoolPackage(t *testing.T) {
	a, b, _ := poolOnServers(t)
	a.env = append(a.env, "RUNNERBEAN_SLOTS=0")
	for _, n := range []*process{a, b} {
		n.install("count", `cat >/dev/null; wc -c <inputs/large`)
		n.start("worker")
	}
	a.until("the program", func() bool { return strings.Contains(a.text("/api/v1/programs"), `"count"`) })
	large := strings.Repeat("0123456789abcdef", 400_000)
	path := a.packageOf(`{"job":{"program":"count","input":{"url":"package:in.json"},"files":[{"name":"large","url":"package:large"}]},"frames":"1-10"}`,
		"in.json", "1", "large", large, "twice", large)
	var r jobs.Result
	for range 2 {
		if err := json.Unmarshal([]byte(a.must("submit", path, "--wait")), &r); err != nil || r.State != jobs.Succeeded {
			t.Fatal(r, err)
		}
	}
	frame := b.final(b.url + "/" + jobs.FrameID(r.ID, 7))
	if string(frame.Result) != "6400000" || frame.Node != "n2" {
		t.Errorf("%s on %s", frame.Result, frame.Node)
	}
}
