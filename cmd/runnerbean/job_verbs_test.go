package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestVerbsOfOneJob(t *testing.T) {
	t.Parallel()
	p := startWorker(t)

	t.Run("a failed job is retried at its URL", func(t *testing.T) {
		url := p.submit("refuses", "1")
		p.final(url)
		p.expect(0, idOf(url)+" is ", "retry", url)
		p.until("a second attempt", func() bool { r, _ := p.get(url); return r.State == jobs.Failed && r.Attempt == 2 })
		if d := p.details(idOf(url)); len(d.Attempts) != 2 || d.Attempts[0].Outcome != jobs.OutcomeFailed {
			t.Errorf("attempts %+v", d.Attempts)
		}
		p.expect(exitError, "use reset", "retry", p.submit("hangs", "1"))
	})
	t.Run("a succeeded job is run again as a new one only", func(t *testing.T) {
		url := p.submit("echo", `[1, 2]`)
		first := p.final(url)
		p.expect(exitError, "runnerbean retry --as-new "+idOf(url), "retry", url)
		p.expect(exitError, "runnerbean retry --as-new "+idOf(url), "reset", url)
		out := p.expect(0, "as a new job: "+p.url+"/", "retry", "--as-new", url)
		again := strings.TrimSpace(out[strings.LastIndexByte(out, ' ')+1:])
		if r := p.final(again); r.State != jobs.Succeeded || string(r.Result) != string(first.Result) || r.ID == first.ID {
			t.Errorf("%s %s", r.State, r.Result)
		}
		p.expect(0, "rerun of", "show", again)
		if d := p.details(idOf(again)); d.Job.RerunOf != first.ID {
			t.Errorf("a rerun of %q", d.Job.RerunOf)
		}
	})
	t.Run("a running job", func(t *testing.T) {
		running := func() string {
			url := p.submit("hangs", "1")
			p.until("it runs", func() bool { r, _ := p.get(url); return r.Message == "holding on" })
			return url
		}
		for _, verb := range []string{"stop", "terminate"} {
			url := running()
			p.expect(0, idOf(url)+" is ", verb, url)
			if r := p.final(url); r.State != jobs.Cancelled || r.Attempt != 1 {
				t.Errorf("%s: %s in attempt %d", verb, r.State, r.Attempt)
			}
			p.expect(exitError, "retry runs it again", verb, url)
		}
		url := running()
		p.expect(exitError, "does not save a checkpoint on request", "checkpoint", url)
		p.expect(0, idOf(url)+" is ", "reset", url)
		if r := p.final(url); r.State != jobs.Succeeded || r.Attempt != 2 {
			t.Errorf("reset: %s in attempt %d", r.State, r.Attempt)
		}
	})
	t.Run("several, one of which is refused", func(t *testing.T) {
		good, done := p.submit("refuses", "1"), p.submit("echo", "1")
		p.final(good)
		p.final(done)
		p.expect(exitError, done[strings.LastIndexByte(done, '/')+1:]+": 409", "retry", done, good)
		p.until("the other one", func() bool { r, _ := p.get(good); return r.Attempt == 2 && r.State.Final() })
	})
	t.Run("JSON", func(t *testing.T) {
		url := p.submit("refuses", "1")
		p.final(url)
		var status jobs.Result
		out := p.expect(0, "", "reset", url, "--json")
		if err := json.Unmarshal([]byte(out), &status); err != nil || status.ID != idOf(url) {
			t.Errorf("%v in %s", err, out)
		}
	})
}

func TestVerbsOfSelections(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_SLOTS=0") // nothing runs
	p.start("worker")
	for range 5 {
		p.submit("echo", "1")
	}
	p.submit("refuses", "1")

	p.expect(exitUsage, "5 jobs would be cancelled: there is no terminal to ask on, so add --yes", "cancel", "--program", "echo")
	p.expect(0, "No jobs matched", "retry", "--all")
	p.expect(exitError, "only a job that is failed or cancelled can be retried", "retry", "--state", "queued")
	p.expect(0, "5 jobs cancelled", "cancel", "--program", "echo", "--state", "queued", "--yes")
	var sum api.Selected
	if err := json.Unmarshal([]byte(p.expect(0, "", "retry", "--program", "echo", "-y", "--json")), &sum); err != nil || sum.Done != 5 || sum.Matched != 5 {
		t.Errorf("%v %+v", err, sum)
	}
	p.expect(exitUsage, "--with-dependents retries failed jobs", "retry", "--with-dependents", "--as-new", p.submit("refuses", "1"))
	p.expect(exitError, "has not come to its end", "retry", "--with-dependents", p.submit("refuses", "1"))
	p.expect(0, "8 jobs terminated", "terminate", "--all", "--yes")
	p.expect(0, "0 dependents queued again", "retry", "--with-dependents", "--program", "refuses", "--yes")
	p.expect(0, "3 jobs terminated", "terminate", "--program", "refuses", "--yes")
	if out := p.expect(0, "", "list", "--state", "cancelled"); strings.Count(out, "cancelled") < 6 {
		t.Errorf("the list has\n%s", out)
	}
}

func TestDrainFromTheCommandLine(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	p.expect(0, "nothing is drained", "drain")
	p.expect(exitError, "known are n1", "drain", "n2")
	p.expect(0, "runnerbean drain n1 --off", "drain", "n1", "--reason", "new disks")
	p.expect(0, "new disks", "drain")
	p.expect(0, "drained", "nodes")
	p.expect(0, "runnerbean drain --queue --off", "drain", "--queue")
	p.expect(exitError, "no new jobs are accepted: the queue is drained", "submit", "--program", "echo", "--data", "1")
	var drains api.Drains
	if err := json.Unmarshal([]byte(p.expect(0, "", "drain", "--json")), &drains); err != nil || drains.Queue == nil || len(drains.Nodes) != 1 {
		t.Errorf("%v %+v", err, drains)
	}
	p.expect(0, "node n1 takes work again", "drain", "n1", "--off")
	p.expect(exitError, "not drained", "drain", "n1", "--off")
	p.expect(0, "the queue takes jobs again", "drain", "--queue", "--off")
	p.expect(0, "nothing is drained", "drain")
}

func TestNodesFromTheCommandLine(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	url := p.submit("hangs", "1")
	p.until("a running job", func() bool { r, _ := p.get(url); return r.State == jobs.Running })
	p.expect(0, "echo, hangs", "nodes")
	var list api.Nodes
	if err := json.Unmarshal([]byte(p.expect(0, "", "nodes", "--json")), &list); err != nil || len(list.Nodes) != 1 {
		t.Fatalf("%v %+v", err, list)
	}
	if n := list.Nodes[0]; n.Name != "n1" || !n.Alive || n.Drained || n.Slots != 2 || n.Running != 1 {
		t.Errorf("%+v", n)
	}
}

func TestWrongUsageOfVerbs(t *testing.T) {
	t.Parallel()
	const id = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"
	for says, args := range map[string][]string{
		"say which jobs":         {"cancel"},
		"not both":               {"cancel", id, "--program", "x"},
		"stands alone":           {"cancel", "--all", "--program", "x"},
		"given by their ids":     {"retry", "--as-new", "--state", "failed"},
		"--as-new":               {"cancel", "--as-new", id},
		`"seven" is neither`:     {"stop", "seven"},
		"either a node or":       {"drain", "n1", "--queue"},
		"a node, or --queue":     {"drain", "--off"},
		"or --queue; see":        {"drain", "--reason", "x"},
		"not for --off":          {"drain", "n1", "--off", "--reason", "x"},
		"the name of the node":   {"drain", ""},
		`"runnerbean retry --he`: {"retry"},
	} {
		var out, log bytes.Buffer
		err := run(t.Context(), t.Context(), args, strings.NewReader(""), &out, &log)
		if err == nil || exitCode(err) != exitUsage || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v (exit code %d), want a usage error with %q", args, err, exitCode(err), says)
		}
	}
}

func TestNewestInstances(t *testing.T) {
	t.Parallel()
	kept := newestInstances([]api.Node{
		{Name: "a", Instance: "3"},
		{Name: "a", Instance: "2", Running: 1},
		{Name: "a", Instance: "1"},
		{Name: "b", Instance: "2", Alive: true},
		{Name: "b", Instance: "1", Alive: true},
	})
	var got []string
	for _, n := range kept {
		got = append(got, n.Name+n.Instance)
	}
	if want := "a3 a2 b2 b1"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestDeleteAndPrune(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_LEDGER_RESULTS=0") // their objects are counted
	p.start("worker")
	urls := make([]string, 4)
	for i := range urls {
		urls[i] = p.submit("echo", "[1]")
		p.final(urls[i])
	}
	if n := p.results(urls); n != len(urls) {
		t.Fatalf("%d results are stored", n)
	}
	p.expect(0, idOf(urls[0])+" is deleted", "delete", urls[0])
	p.expect(exitError, "410", "delete", urls[0])
	p.expect(exitError, "was deleted at", "show", urls[0])
	p.expect(exitUsage, "--older 90d", "prune")
	p.expect(0, "0 jobs", "prune", "--older", "1h", "--dry-run")
	p.expect(0, "3 jobs with ", "prune", "--older", "0s", "--dry-run")
	p.expect(0, "in the store (all were measured)", "prune", "--older", "0s", "--dry-run")
	p.expect(exitUsage, "3 jobs would be deleted", "prune", "--older", "0s")
	p.expect(0, "0 jobs", "prune", "--older", "0s", "--dry-run", "--state", "failed")
	p.expect(0, "3 jobs deleted", "prune", "--older", "0s", "--program", "echo", "--yes")
	p.until("their objects are removed", func() bool { return p.results(urls) == 0 })
}

// results returns how many results of jobs are in the store.
func (p *process) results(urls []string) (n int) {
	for _, url := range urls {
		if _, err := os.Stat(filepath.Join(p.setting("DATA"), "store", store.ResultKey(idOf(url)))); err == nil {
			n++
		}
	}
	return n
}
