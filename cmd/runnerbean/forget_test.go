package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestForgottenNodeIsNotDead kills a node that runs a job for good. Until it is forgotten,
// the verdict calls it dead.
func TestForgottenNodeIsNotDead(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	q := p.beside("n2")
	for _, n := range []*process{p, q} {
		n.env = append(n.env, "RUNNERBEAN_LEASE=2s")
	}
	p.start("worker")
	p.must("drain", "n1")
	q.start("worker")
	url := p.submit("hangs", "1")
	p.until("it runs", func() bool { r, _ := p.get(url); return r.Message == "holding on" })
	p.must("drain", "n1", "--off")
	if _, log, code := p.client("", "node", "forget", "n2"); code != exitError || !strings.Contains(log, "alive") {
		t.Errorf("exit code %d, %s; want a refusal", code, log)
	}
	q.end(syscall.SIGKILL)
	p.until("n2 is dead", func() bool { return p.verdictSays("n2", "dead") })
	p.until("n2 is forgotten", func() bool { _, _, code := p.client("", "node", "forget", "n2"); return code == 0 })
	if !p.verdictSays("n2", "up") {
		t.Errorf("the verdict still names it:\n%s", p.must("stats"))
	}
	if out := p.must("nodes"); strings.Contains(out, "n2") {
		t.Errorf("it is still listed:\n%s", out)
	}
	if r := p.final(url); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Errorf("its job: %s in attempt %d", r.State, r.Attempt)
	}
	q.start("worker")
	p.until("it is back", func() bool { return strings.Contains(p.must("nodes"), "n2") })
}
