package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/batch"
	"github.com/runnerbean/runnerbean/jobs"
)

// loop returns the loop of a job.
func (p *process) loop(id string) *api.Loop {
	p.t.Helper()
	var d api.Details
	p.api("/api/v1/jobs/"+id, &d)
	if d.Loop == nil {
		p.t.Fatalf("%s has no loop", id)
	}
	return d.Loop
}

// runs waits until a loop has so many runs.
func (p *process) runs(id string, n int) {
	p.t.Helper()
	p.until(fmt.Sprintf("run %d of the loop", n), func() bool { return p.loop(id).Runs >= n })
}

// stopLoop cancels the newest job of a loop, whatever it does, and returns its id.
func (p *process) stopLoop(id string) (newest string) {
	p.t.Helper()
	p.until("the stop of the loop", func() bool {
		newest = p.loop(id).Newest
		_, _, _ = p.client("", "cancel", newest) // it may just have succeeded
		l := p.loop(id)
		return l.Newest == newest && l.State == jobs.Cancelled
	})
	return newest
}

// through waits until a node has taken what was put on its inbox before.
func (p *process) through() {
	p.t.Helper()
	id := jobs.NewID()
	putByHand(p.t, p.setting("BEANSTALKD"), fmt.Sprintf(`{"id":%q,"program":"tick","input":{"data":1},"result":{"url":%q}}`, id, p.url+"/"+id))
	p.final(p.url + "/" + id)
}

// TestLoop has a job repeat: through kills of the node, a stop and a retry, until a person ends it for
// good. Then neither a retry nor the same document goes on with it.
func TestLoop(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.install("tick", `read -r in; echo "[$in,\"$RUNNERBEAN_JOB_ID\"]"`)
	p.until("the program", func() bool { return strings.Contains(p.text("/api/v1/programs"), `"tick"`) })
	first := jobs.NewID()
	document := fmt.Sprintf(`{"id":%q,"program":"tick","input":{"data":7},"result":{"url":%q},"labels":{"a":"b"},"repeat":"1s"}`, first, p.url+"/"+first)
	putByHand(t, p.setting("BEANSTALKD"), document)
	p.until("the first run", func() bool { r, _ := p.get(p.url + "/" + first); return r.State == jobs.Succeeded })
	p.runs(first, 3)
	for n := range 2 {
		p.end(syscall.SIGKILL)
		p.start("worker")
		p.runs(first, 5+n)
	}
	stopped := p.stopLoop(first)
	runs := p.loop(first).Runs
	latest, _ := p.get(p.url + "/" + first + "/latest")
	if want := fmt.Sprintf(`[7,"%s"]`, latest.ID); latest.State != jobs.Succeeded || string(latest.Result) != want || latest.ID != p.loop(first).Latest {
		t.Errorf("the newest success is %+v, want %s", latest, want)
	}
	putByHand(t, p.setting("BEANSTALKD"), document)
	p.through()
	if l := p.loop(first); l.Runs != runs || l.State != jobs.Cancelled {
		t.Errorf("after the stop and the same document: %+v", l)
	}
	p.expect(0, "run 1 of", "show", first)
	p.must("retry", stopped)
	p.runs(first, runs+2)

	p.expect(0, "ended for good", "end-loop", p.url+"/"+first)
	p.until("the end", func() bool { return p.loop(first).State.Final() })
	end := p.loop(first)
	putByHand(t, p.setting("BEANSTALKD"), document)
	p.through()
	if end.State == jobs.Cancelled {
		p.must("retry", end.Newest)
		p.final(p.url + "/" + end.Newest)
	}
	if l := p.loop(first); l.Runs != end.Runs || l.Ended.IsZero() || !l.State.Final() {
		t.Errorf("after the end: %+v", l)
	}
	p.expect(0, "ended for good", "show", first)
	var list api.Page
	p.api("/api/v1/jobs?label=a%3Db&limit=1000", &list)
	seen := map[string]bool{}
	for _, j := range list.Jobs {
		seen[j.ID] = true
	}
	if len(seen) != end.Runs {
		t.Errorf("%d jobs, want %d", len(seen), end.Runs)
	}
	once := p.submit("tick", "1")
	p.expect(1, "does not repeat", "end-loop", idOf(once))
}

// TestLoopFlags submits a job that repeats, and ends its loop between two runs, with the first job
// deleted.
func TestLoopFlags(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.expect(1, "repeat must be a time span", "submit", "--program", "echo", "--data", `"a"`, "--repeat", "10ms")
	first := idOf(strings.TrimSpace(p.must("submit", "--program", "echo", "--data", `"a"`, "--repeat", "1d")))
	p.final(p.url + "/" + first)
	p.runs(first, 2)
	l := p.loop(first)
	if l.NextAt.IsZero() || l.State != jobs.Queued || l.Latest != first {
		t.Errorf("%+v", l)
	}
	p.must("delete", first)
	var status jobs.Result
	if err := json.Unmarshal([]byte(p.must("end-loop", "--json", first)), &status); err != nil || status.ID != l.Newest || status.State != jobs.Cancelled {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestLoopOfBatches has a batch repeat. Each run has frames of its own.
func TestLoopOfBatches(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.installFilm()
	p.until("the programs", func() bool { return strings.Contains(p.text("/api/v1/programs"), `"film"`) })
	first := jobs.NewID()
	p.postJob(strings.TrimSuffix(filmBatch(first), "}") + `,"repeat":"1s"}`)
	p.checkFilm(first)
	p.runs(first, 2)
	second := p.loop(first).Next
	p.checkFilm(second)
	p.must("end-loop", second)
	p.until("the end", func() bool { return p.loop(first).State.Final() })
	var s batch.Summary
	r, _ := p.get(p.url + "/" + first + "/runs/2")
	if err := r.Decode(&s); err != nil || r.ID != second || s.Succeeded != 40 {
		t.Errorf("%+v, %v", s, err)
	}
	if frame, _ := p.get(p.url + "/" + second + "/frames/7"); frame.ID != jobs.FrameID(second, 7) || frame.State != jobs.Succeeded {
		t.Errorf("%+v", frame)
	}
}
