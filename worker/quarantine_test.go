package worker

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// lostTwice submits a job that is to run alone.
func (r *fixture) lostTwice(program string) string {
	r.t.Helper()
	j := job(program)
	r.accept(j)
	for range ledger.QuarantineAfter {
		r.lose(j.ID)
	}
	r.put(j)
	return j.ID
}

func patient(c *Config)   { c.quarantineAfter = time.Hour }
func impatient(c *Config) { c.quarantineAfter = time.Nanosecond }

// quarantines waits until a node takes no other work because of a job, or runs it.
func (n *node) quarantines(id string, running bool) {
	n.r.t.Helper()
	n.r.until("the node takes no work for a job that runs alone", func() bool {
		q := n.Quarantine()
		return q != nil && *q == api.Quarantine{Job: id, Running: running}
	})
}

// TestQuarantineRunsAlone checks that a job in quarantine runs alone, after the others
// have ended.
func TestQuarantineRunsAlone(t *testing.T) {
	t.Parallel()
	r := newFixture(t, impatient, func(c *Config) { c.Slots = 4 })
	open, openAlone := r.gate("slow"), r.gate("alone")
	r.install("quick", "echo 1")
	n := r.start()
	beside := r.crowd("slow", 2)
	n.runs(2)
	alone := r.lostTwice("alone")
	n.quarantines(alone, false)
	quick := r.crowd("quick", 8)
	n.runs(2)
	open()
	n.quarantines(alone, true)
	r.awaitMessage(alone)
	n.runs(1)
	if got := r.get(alone); !got.Quarantined || got.State != jobs.Running {
		t.Errorf("%+v", got)
	}
	for _, id := range quick {
		if got := r.get(id); got.Attempt != 0 {
			t.Errorf("a job ran beside it: %+v", got)
		}
	}
	openAlone()
	for _, id := range append(append(beside, quick...), alone) {
		r.await(id, jobs.Succeeded)
	}
	r.until("it is over", func() bool { return n.Quarantine() == nil })
	r.tubeEmpty("alone")
	for i, a := range r.attempts(alone) {
		if a.Quarantined != (i == ledger.QuarantineAfter) {
			t.Errorf("attempt %d: %+v", i+1, a)
		}
	}
}

// TestQuarantineWaitsForAnIdleNode checks that a busy node leaves the job to an idle
// one and goes on with other jobs.
func TestQuarantineWaitsForAnIdleNode(t *testing.T) {
	t.Parallel()
	r := newFixture(t, patient)
	open := r.gate("slow")
	r.install("quick", "echo 1")
	first := r.start()
	r.awaitMessage(r.submit(job("slow")))
	alone := r.lostTwice("quick")
	r.until("the message was put off", func() bool { return r.tubeStats("quick")["current-jobs-delayed"] == "1" })
	r.await(r.submit(job("quick")), jobs.Succeeded)
	if q := first.Quarantine(); q != nil {
		t.Errorf("%+v", q)
	}

	r.cfg.Node, r.cfg.Instance, r.cfg.Scratch = "n2", jobs.NewID(), t.TempDir()
	r.must(r.ledger.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: r.cfg.Instance}))
	r.start()
	if record := r.await(alone, jobs.Succeeded); record.Node != "n2" || !record.Quarantined {
		t.Errorf("%+v", record)
	}
	open()
}

// TestQuarantineTwoJobs runs them one after the other.
func TestQuarantineTwoJobs(t *testing.T) {
	t.Parallel()
	r := newFixture(t, impatient)
	open := r.gate("alone")
	n := r.start()
	first := r.lostTwice("alone")
	n.quarantines(first, true)
	second := r.lostTwice("alone")
	n.runs(1)
	open()
	for _, id := range []string{first, second} {
		if record := r.await(id, jobs.Succeeded); !record.Quarantined {
			t.Errorf("%+v", record)
		}
	}
}

// TestQuarantineStopsWaiting checks that a node takes work again, or ends, as soon as
// it need not wait for its jobs.
func TestQuarantineStopsWaiting(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(n *node, id string){
		"hold":   func(n *node, _ string) { n.Hold("drained") },
		"pause":  func(n *node, _ string) { n.Pause("a person") },
		"slots":  func(n *node, _ string) { n.r.must(n.SetSlots(0)) },
		"end":    func(n *node, _ string) { n.stop() },
		"cancel": func(n *node, id string) { n.r.act(ledger.VerbCancel, id) },
		"reset":  func(n *node, id string) { n.r.act(ledger.VerbReset, id) },
		"elsewhere": func(n *node, id string) {
			claim, err := n.r.ledger.Claim(n.r.t.Context(), id, ledger.Owner{Instance: "other", Node: "n2", Alone: true}, "")
			n.r.must(err)
			if !claim.OK {
				n.r.t.Errorf("%+v", claim)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, impatient)
			open := r.gate("slow")
			r.install("quick", "echo 1")
			n := r.start()
			slow := r.submit(job("slow"))
			r.awaitMessage(slow)
			alone := r.lostTwice("slow")
			n.quarantines(alone, false)
			stop(n, alone)
			r.until("the node does not wait any more", func() bool { return n.Quarantine() == nil })
			if got := r.get(slow); got.State != jobs.Running {
				t.Errorf("what ran is %s", got.State)
			}
			switch name {
			case "hold":
				n.Hold("")
			case "pause":
				n.Resume()
			case "slots":
				r.must(n.SetSlots(2))
			case "end":
				open()
				n.wait()
				if got := r.get(alone); got.State != jobs.Queued || got.Attempt != ledger.QuarantineAfter {
					t.Errorf("%+v", got)
				}
				return
			default:
				r.await(r.submit(job("quick")), jobs.Succeeded)
			}
			open()
			r.await(slow, jobs.Succeeded)
			if name != "elsewhere" && name != "cancel" {
				r.await(alone, jobs.Succeeded)
			}
		})
	}
}

// TestCleanRestartsAreNoLosses checks that clean restarts of a node never put a job
// into quarantine.
func TestCleanRestartsAreNoLosses(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.ShutdownGrace = -1; c.Grace = 10 * time.Millisecond })
	open := r.gate("slow")
	id := r.submit(job("slow"))
	var want []jobs.Outcome
	for n := range ledger.QuarantineAfter + ledger.QuarantineLimit {
		w := r.start()
		r.until("it runs", func() bool {
			g := r.get(id)
			return g.State == jobs.Running && g.Attempt == n+1 && g.Live.Message == "running"
		})
		w.stop()
		w.wait()
		want = append(want, jobs.OutcomeInterrupted)
	}
	if got := r.get(id); got.Crashes != 0 || got.RunsAlone() || got.State != jobs.Queued {
		t.Errorf("%+v", got)
	}
	open()
	r.start()
	r.await(id, jobs.Succeeded)
	if diff := cmp.Diff(append(want, jobs.OutcomeSucceeded), r.outcomes(id)); diff != "" {
		t.Error(diff)
	}
}
