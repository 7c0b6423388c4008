package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// refused starts a node that is to end by itself, and returns what it said.
func (p *process) refused() string {
	p.t.Helper()
	p.launch("worker")
	p.until("ends", func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	return p.log.String()
}

// TestNodeRefusesTheStoreOfOthers starts nodes with a ledger and a folder that is not its
// store: an empty one, as an absent mount leaves it, and that of another pool. A person
// records a new store in place of a lost one.
func TestNodeRefusesTheStoreOfOthers(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_LEDGER_RESULTS=0") // the result is lost with the store
	p.start("worker")
	url := p.submit("echo", "1")
	if r := p.final(url); r.State != jobs.Succeeded {
		t.Fatalf("state %s", r.State)
	}
	p.end(syscall.SIGTERM)
	folder := filepath.Join(p.folder, "data", "store")
	if err := errors.Join(os.Rename(folder, folder+".away"), os.Mkdir(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	if said := p.refused(); !strings.Contains(said, "mount its disk") || !strings.Contains(said, "runnerbean store accept") {
		t.Errorf("a node with an empty store said %s", said)
	}
	if left, err := os.ReadDir(folder); len(left) > 0 || err != nil {
		t.Errorf("it made %v, %v", left, err)
	}
	if out, _, code := p.client("", "doctor"); code == 0 || !strings.Contains(out, "has no store") {
		t.Errorf("doctor: %d\n%s", code, out)
	}
	if _, said, code := p.client("", "store", "accept"); code == 0 || !strings.Contains(said, "add --yes") {
		t.Errorf("accept without the results: %d, %s", code, said)
	}
	if out, said, code := p.client("", "store", "accept", "--yes"); code != 0 || !strings.Contains(out, "belongs to the ledger") {
		t.Fatalf("accept: %d, %s%s", code, out, said)
	}
	p.start("worker")
	if out, _, code := p.client("", "list", "--state", "succeeded"); code != 0 || !strings.Contains(out, "echo") {
		t.Errorf("list: %d\n%s", code, out)
	}
	if out := p.must("retry", "--missing-result", "--all", "--yes"); !strings.Contains(out, "1 job queued again") {
		t.Errorf("retry of missing results: %s", out)
	}
	if r := p.final(url); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Errorf("it is %s in attempt %d, want success in attempt 2", r.State, r.Attempt)
	}
}

// TestSecondNodeWithAStoreOfItsOwn gives a second node the ledger of the first, and not
// its store.
func TestSecondNodeWithAStoreOfItsOwn(t *testing.T) {
	t.Parallel()
	first := startWorker(t)
	second := newNode(t, queuetest.Start(t).Addr)
	second.env = append(second.env, "RUNNERBEAN_NODE=n2", "RUNNERBEAN_LEDGER=sqlite:"+filepath.Join(first.folder, "data", "ledger.db"))
	if said := second.refused(); !strings.Contains(said, "has no store") || !strings.Contains(said, filepath.Join(second.folder, "data", "store")) {
		t.Errorf("it said %s", said)
	}
	second.env = append(second.env, "RUNNERBEAN_STORE="+filepath.Join(first.folder, "data", "store"))
	second.start("worker")
}

// TestStoreThatGoesAwayHoldsTheNode moves the folder of the store away while the node
// runs, and back: meanwhile the node is not ready, and writes nothing into its place.
func TestStoreThatGoesAwayHoldsTheNode(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	folder := filepath.Join(p.folder, "data", "store")
	if err := errors.Join(os.Rename(folder, folder+".away"), os.Mkdir(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	ready := func() int {
		answer, err := http.Get(p.url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	p.until("is not ready", func() bool { return ready() == http.StatusServiceUnavailable })
	if left, err := os.ReadDir(folder); len(left) > 0 || err != nil {
		t.Errorf("in the place of the store: %v, %v", left, err)
	}
	if err := errors.Join(os.Remove(folder), os.Rename(folder+".away", folder)); err != nil {
		t.Fatal(err)
	}
	p.until("is ready", func() bool { return ready() == http.StatusOK })
	if r := p.final(p.submit("echo", "1")); r.State != jobs.Succeeded {
		t.Errorf("state %s", r.State)
	}
}
