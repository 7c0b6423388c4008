package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestDrainedQueueTakesNoJobsAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")
	running := p.submit("hangs", "1")
	p.must("drain", "--queue", "--reason", "moving house")
	for restarted := range 2 {
		answer, body := p.post("echo")
		if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !strings.Contains(body, "moving house") {
			t.Errorf("restarted %d times: %s, %v\n%s", restarted, answer.Status, answer.Header, body)
		}
		p.end(syscall.SIGKILL)
		p.start("worker")
		p.until("the node refuses jobs", func() bool { answer, _ := p.post("echo"); return answer.StatusCode == http.StatusServiceUnavailable })
	}
	id := jobs.NewID()
	putByHand(t, server.Addr, `{"id":"`+id+`","program":"echo","input":{"data":1},"result":{"url":"`+p.url+`/`+id+`"}}`)
	if r := p.final(running); r.State != jobs.Succeeded { // accepted jobs run
		t.Errorf("state %s", r.State)
	}
	if r, ok := p.get(p.url + "/" + id); ok {
		t.Errorf("an inbox job was taken: %+v", r)
	}
	if out := p.must("drain"); !strings.Contains(out, "moving house") {
		t.Errorf("drain does not show it: %s", out)
	}
	p.must("drain", "--queue", "--off")
	if r := p.final(p.url + "/" + id); r.State != jobs.Succeeded {
		t.Errorf("state %s after the drain", r.State)
	}
}

func TestDrainedNodeFinishesWhatRunsAndTakesNothing(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	gate := filepath.Join(t.TempDir(), "open")
	p.install("gated", "until [ -e "+gate+" ]; do sleep 0.02; done; cat")
	p.start("worker")
	running := p.submit("gated", "1")
	p.until("it runs", func() bool { r, _ := p.get(running); return r.State == jobs.Running })
	p.must("drain", "n1")
	queued := p.submit("echo", "2")
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := p.final(running); r.State != jobs.Succeeded {
		t.Errorf("state %s of what ran", r.State)
	}
	p.end(syscall.SIGTERM)
	p.start("worker")
	if out := p.must("nodes"); !strings.Contains(out, "drained") {
		t.Errorf("nodes does not show it:\n%s", out)
	}
	if r, _ := p.get(queued); r.State != jobs.Queued {
		t.Errorf("the drained node ran it: %s", r.State)
	}
	p.must("drain", "n1", "--off")
	if r := p.final(queued); r.State != jobs.Succeeded {
		t.Errorf("state %s after the drain", r.State)
	}
}

// TestDrainIsNoFailureOnceItIsRecorded hides a table, so that the node can record a drain
// but not apply it yet. The command must succeed.
func TestDrainIsNoFailureOnceItIsRecorded(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	rename := func(from, to string) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+filepath.Join(p.setting("DATA"), "ledger.db")+"?_pragma=busy_timeout(10000)")
		if err == nil {
			_, err = db.Exec("ALTER TABLE " + from + " RENAME TO " + to)
			err = errors.Join(err, db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	rename("controls", "hidden")
	p.must("drain", "--queue", "--reason", "moving house")
	rename("hidden", "controls")
	p.until("the node refuses jobs", func() bool { answer, _ := p.post("echo"); return answer.StatusCode == http.StatusServiceUnavailable })
	rename("controls", "hidden")
	p.must("drain", "--queue", "--off")
	rename("hidden", "controls")
	p.until("the node accepts jobs", func() bool { answer, _ := p.post("echo"); return answer.StatusCode == http.StatusCreated })
}

func TestAlmostFullDiskStopsWorkAndSaysSo(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_LEDGER_RESULTS=0")
	p.start("worker")
	url := p.submit("echo", "[1]")
	p.final(url)
	p.end(syscall.SIGTERM)
	result := filepath.Join(p.setting("DATA"), "store", store.ResultKey(idOf(url)))
	long := time.Now().AddDate(-1, 0, 0)
	if err := os.Chtimes(result, long, long); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "RUNNERBEAN_MIN_FREE=1EiB")
	p.start("worker")
	p.until("the node refuses jobs", func() bool { answer, _ := p.post("echo"); return answer.StatusCode == http.StatusServiceUnavailable })
	for _, word := range []string{"RUNNERBEAN_MIN_FREE", "room is taken by", "results ", "the ledger ", "by program: echo 100 %", "runnerbean prune --older 30d"} {
		p.until("/readyz says "+word, func() bool {
			answer, err := http.Get(p.url + "/readyz")
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			var problem jobs.Problem
			return json.Unmarshal(body, &problem) == nil && answer.StatusCode == http.StatusServiceUnavailable && strings.Contains(problem.Detail, word)
		})
	}
}

// TestNodesOfOneName checks that a node cannot take the name of a node that is alive, and
// can take that of a dead node on another data folder.
func TestNodesOfOneName(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	q := p.beside("n1")
	for _, n := range []*process{p, q} {
		n.env = append(n.env, "RUNNERBEAN_LEASE=2s")
	}
	p.start("worker")
	_, log, code := q.client("", "worker")
	if code != exitError || !strings.Contains(log, "RUNNERBEAN_NODE") {
		t.Errorf("exit code %d, %q; want 1 and what to do", code, log)
	}
	url := p.submit("hangs", "1")
	p.until("it runs", func() bool { r, _ := p.get(url); return r.State == jobs.Running })
	p.end(syscall.SIGKILL)
	q.start("worker")
	if r := q.final(q.url + url[strings.LastIndex(url, "/"):]); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Errorf("%s in attempt %d, want success in attempt 2", r.State, r.Attempt)
	}
}

// TestVerbsSurviveTheDeathOfTheNode kills a node before it can apply verbs on its jobs.
func TestVerbsSurviveTheDeathOfTheNode(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	q := p.beside("n2")
	q.env = append(q.env, "RUNNERBEAN_SLOTS=0")
	for _, n := range []*process{p, q} {
		n.env = append(n.env, "RUNNERBEAN_LEASE=2s")
	}
	p.start("worker")
	q.start("worker")
	cancelled, reset := p.submit("hangs", "1"), p.submit("hangs", "2")
	for _, url := range []string{cancelled, reset} {
		p.until("it runs", func() bool { r, _ := p.get(url); return r.Message == "holding on" })
	}
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	q.must("terminate", cancelled)
	q.must("reset", reset)
	p.end(syscall.SIGKILL)
	p.start("worker")
	if r := p.final(cancelled); r.State != jobs.Cancelled {
		t.Errorf("state %s, want cancelled", r.State)
	}
	if r := p.final(reset); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Errorf("%s in attempt %d, want success in attempt 2", r.State, r.Attempt)
	}
	p.must("retry", cancelled)
	if r := p.final(cancelled); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Errorf("%s in attempt %d after the retry, want success in attempt 2", r.State, r.Attempt)
	}
	if out := p.must("show", cancelled); !strings.Contains(out, "retried") || !strings.Contains(out, "lost") {
		t.Errorf("the history is not kept:\n%s", out)
	}
}

// post submits a job of a program, and returns the answer and its body.
func (p *process) post(program string) (*http.Response, string) {
	p.t.Helper()
	answer, err := http.Post(p.url+"/api/v1/jobs", "application/json", strings.NewReader(`{"program":"`+program+`","input":{"data":1}}`))
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return answer, string(body)
}

func TestStoppingNodeIsNotReadyTakesNoJobsAndServesResults(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	gate := filepath.Join(t.TempDir(), "open")
	p.install("gated", "until [ -e "+gate+" ]; do sleep 0.02; done; cat")
	p.start("worker")
	done := p.submit("echo", "7")
	p.final(done)
	running := p.submit("gated", "1")
	p.until("it runs", func() bool { r, _ := p.get(running); return r.State == jobs.Running })
	if status := statusOf(t, p.url+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz answers %d before the end", status)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.until("/readyz answers 503", func() bool { return statusOf(t, p.url+"/readyz") == http.StatusServiceUnavailable })
	answer, body := p.post("echo")
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" || !strings.Contains(body, "is being stopped") {
		t.Errorf("a job is answered with %s, %v\n%s", answer.Status, answer.Header, body)
	}
	if status := statusOf(t, p.url+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz answers %d", status)
	}
	if r, ok := p.get(done); !ok || r.State != jobs.Succeeded {
		t.Errorf("a result is not served: %+v", r)
	}
	if r, ok := p.get(running); !ok || r.State != jobs.Running {
		t.Errorf("a job that runs is not served: %+v", r)
	}
	write(t, gate, "")
	p.wait("it ends after its last job")
	p.start("worker")
	if r := p.final(running); r.State != jobs.Succeeded || r.Attempt != 1 {
		t.Errorf("the job that ran is %s in attempt %d", r.State, r.Attempt)
	}
}
