package worker

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestHold holds a node: another one gets all work, running jobs go on, and the node
// takes work again afterwards.
func TestHold(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	open := r.gate("slow")
	r.install("quick", "echo 1")
	first := r.start()
	running := r.submit(job("slow"))
	r.awaitMessage(running)
	first.Hold("the disk is full")
	first.Hold("the disk is still full")

	var ids []string
	for range 20 {
		ids = append(ids, r.submit(job("quick")))
	}
	r.cfg.Node, r.cfg.Instance, r.cfg.Scratch = "n2", jobs.NewID(), t.TempDir()
	r.must(r.ledger.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: r.cfg.Instance}))
	second := r.start()
	for _, id := range ids {
		if record := r.await(id, jobs.Succeeded); record.Node != "n2" {
			t.Errorf("a job ran on %s", record.Node)
		}
	}
	second.stop()
	second.wait()
	open()
	r.await(running, jobs.Succeeded)

	late := r.submit(job("quick"))
	first.Hold("")
	if record := r.await(late, jobs.Succeeded); record.Node != "n1" {
		t.Errorf("the last job ran on %s", record.Node)
	}
	r.tubeEmpty("quick")
}

// TestHoldBeforeRun runs a worker that never takes work.
func TestHoldBeforeRun(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("quick", "echo 1")
	w, err := New(r.cfg)
	r.must(err)
	w.Hold("drained")
	n := r.run(w)
	id := r.submit(job("quick"))
	n.stop()
	n.wait()
	if record := r.get(id); record.State != jobs.Queued || record.Attempt != 0 {
		t.Errorf("job is %s after %d attempts", record.State, record.Attempt)
	}
}

// TestHoldOnAndOff loses no message that comes at the moment of a change.
func TestHoldOnAndOff(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("quick", "echo 1")
	n := r.start()
	var ids []string
	for range 40 {
		n.Hold("drained")
		ids = append(ids, r.submit(job("quick")))
		n.Hold("")
	}
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
		if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
			t.Error(diff)
		}
	}
	r.tubeEmpty("quick")
}

// TestHoldIsLoggedOnce changes the reason all the time, as the free space of a full
// disk does. That must not fill the disk with log lines.
func TestHoldIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := &Worker{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, gate: newIntakeGate()}
	for i := range 10 {
		w.Hold(fmt.Sprintf("%d MiB free", i))
	}
	w.Hold("")
	w.Hold("")
	if lines := strings.Count(log.String(), "\n"); lines != 2 {
		t.Errorf("%d lines: %s", lines, log.String())
	}
}
