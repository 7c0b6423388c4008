package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestTroubledNodeIsSeenEverywhere makes the scratch folder of a node a file, which the
// node cannot mend. The node itself and another one say so until a job runs again.
func TestTroubledNodeIsSeenEverywhere(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	q := p.beside("n2")
	q.env = append(q.env, "RUNNERBEAN_SLOTS=0")
	p.start("worker")
	q.start("worker")
	scratch := filepath.Join(p.setting("DATA"), "scratch")
	if err := errors.Join(os.RemoveAll(scratch), os.WriteFile(scratch, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for range 6 {
		urls = append(urls, p.submit("echo", "1"))
	}
	p.until("/readyz is 503", func() bool { return statusOf(t, p.url+"/readyz") == http.StatusServiceUnavailable })
	answer, err := http.Get(p.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || !strings.Contains(string(body), "by a fault of this node") || !strings.Contains(string(body), "no scratch folder") {
		t.Errorf("/readyz says %s %v", body, err)
	}
	q.until("the other node says so", func() bool { return q.verdictSays("n1", "troubled") })
	var list api.Nodes
	q.api("/api/v1/nodes", &list)
	if v := list.Nodes[0].Vitals; v == nil || v.Trouble == nil || v.Trouble.Faults < 3 || !strings.Contains(v.Trouble.Reason, "no scratch folder") {
		t.Errorf("the API of the other node says %+v", list.Nodes[0])
	}
	for _, said := range []struct{ where, text string }{
		{"the command nodes", q.must("nodes")},
		{"the page of all nodes", q.text("/nodes")},
		{"the page of the node", q.text("/nodes/n1")},
		{"the overview", q.text("/")},
	} {
		if !strings.Contains(said.text, "troubled") {
			t.Errorf("%s does not say it:\n%s", said.where, said.text)
		}
	}
	if page := q.text("/nodes/n1"); !strings.Contains(page, "no scratch folder") {
		t.Errorf("the page of the node does not say why:\n%s", page)
	}
	p.expect(exitError, "is not ready", "doctor")
	if !strings.Contains(p.text("/metrics"), "\nrunnerbean_node_trouble 1\n") {
		t.Error("no metric says it")
	}
	if err := os.Remove(scratch); err != nil {
		t.Fatal(err)
	}
	for _, url := range urls {
		if r := p.final(url); r.State != jobs.Succeeded {
			t.Errorf("state %s", r.State)
		}
	}
	if status := statusOf(t, p.url+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz answers %d once jobs run", status)
	}
	if !strings.Contains(p.text("/metrics"), "\nrunnerbean_node_trouble 0\n") {
		t.Error("the metric stays")
	}
	q.until("the other node says so", func() bool { return !strings.Contains(q.text("/nodes/n1"), "troubled") })
}

func TestNodeRefusesSlotsThatItsLimitsDoNotHold(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	q := p.beside("n2")
	p.openFiles = 64
	p.launch("worker")
	p.wait("it refuses to start")
	if code := p.cmd.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(p.log.String(), "a node with 2 slots needs 160 open files, 24 for each slot, and the limit is 64") {
		t.Errorf("with 64 open files: exit code %d\n%s", code, p.log)
	}
	p.env = append(p.env, "RUNNERBEAN_SLOTS=3")
	p.openFiles = 160
	p.launch("worker")
	p.wait("it refuses to start")
	if code := p.cmd.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(p.log.String(), "set RUNNERBEAN_SLOTS to at most 2") {
		t.Errorf("with 160 open files: exit code %d\n%s", code, p.log)
	}
	p.env = append(p.env, "RUNNERBEAN_SLOTS=1")
	p.start("worker")
	q.start("worker")
	for _, n := range []*process{p, q} {
		n.until("its limit is known", func() bool {
			var list api.Nodes
			n.api("/api/v1/nodes", &list)
			return list.Nodes[0].Vitals != nil && list.Nodes[0].Vitals.MaxSlots == 2
		})
		n.expect(exitError, "is at most 2 on this node", "slots", "n1", "3")
		n.expect(0, "has 2 slots", "slots", "n1", "2")
	}
	p.end(syscall.SIGTERM)
	q.until("n1 has left", func() bool { return strings.Contains(q.must("nodes"), "left") })
	q.expect(0, "has 9 slots", "slots", "n1", "9") // nobody knows its next limits
	p.start("worker")
	p.logs("do not hold the slots that are set", 1)
	q.until("it has as many as its limits hold", func() bool {
		var list api.Nodes
		q.api("/api/v1/nodes", &list)
		return list.Nodes[0].Alive && list.Nodes[0].Slots == 2
	})
	if r := p.final(p.submit("echo", "1")); r.State != jobs.Succeeded {
		t.Errorf("state %s", r.State)
	}
}
