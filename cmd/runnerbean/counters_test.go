package main

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
)

// counted returns the sums of the counter records of a program by node, at most an hour old.
func (p *process) counted(program string) map[string]float64 {
	p.t.Helper()
	sums := map[string]float64{}
	for _, node := range []string{"n1", "n2"} {
		var c api.Counters
		p.api("/api/v1/counters?range=1h&program="+program+"&node="+node, &c)
		if len(c.Counters) == 1 {
			sums[node] = c.Counters[0].Total
		}
	}
	return sums
}

// TestCountersOfKilledNodes has two nodes count in one ledger. What a node has handed over before
// it is killed stays, and counts once.
func TestCountersOfKilledNodes(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	q := p.beside("n2")
	p.end(syscall.SIGTERM)
	gate := filepath.Join(p.folder, "gate")
	p.install("counts", `echo '{"counters":{"records":100},"chunk":{"id":"a","of":2}}' >&3
[ $RUNNERBEAN_ATTEMPT = 1 ] && while [ ! -e '`+gate+`' ]; do sleep 0.1; done
echo '{"counters":{"records":150},"chunk":{"id":"b","of":2}}' >&3
echo 1`)
	p.start("worker")
	url := p.submit("counts", "0")
	p.until("the node has handed over what was counted", func() bool { return p.counted("counts")["n1"] == 100 })
	p.end(syscall.SIGKILL)
	q.install("counts", `echo '{"counters":{"records":7}}' >&3; echo 1`)
	q.start("worker")
	q.final(q.submit("counts", "0"))
	q.until("the other node has handed over", func() bool { return q.counted("counts")["n2"] == 7 })
	q.end(syscall.SIGTERM)

	p.start("worker")
	if r := p.final(url); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Errorf("%s in attempt %d", r.State, r.Attempt)
	}
	want := map[string]float64{"n1": 250, "n2": 7}
	p.until("all is counted", func() bool { return cmp.Equal(want, p.counted("counts")) })
	p.end(syscall.SIGTERM)
	p.start("worker")
	if diff := cmp.Diff(want, p.counted("counts")); diff != "" {
		t.Error(diff)
	}
	d := p.details(idOf(url))
	if len(d.Attempts) != 2 || d.Attempts[0].Counters["records"] != 100 || d.Attempts[1].Counters["records"] != 150 {
		t.Errorf("attempts %+v", d.Attempts)
	}
	if len(d.Chunks) != 2 || !cmp.Equal(d.Chunks[0].Attempts, []int{2}) || !cmp.Equal(d.Chunks[1].Attempts, []int{1, 2}) {
		t.Errorf("chunks %+v", d.Chunks)
	}
}
