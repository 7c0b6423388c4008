package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestJobPutByHandGetsTheSameResultAsOneByTheLibrary(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")

	client, err := jobs.New(jobs.Config{Beanstalkd: []string{server.Addr}, BaseURL: p.url})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	job, err := client.Enqueue(t.Context(), jobs.Job{Program: "echo", Input: jobs.Input{Data: []byte(`{"beans":[1,2.50]}`)}})
	if err != nil {
		t.Fatal(err)
	}
	byLibrary := p.final(job.Result.URL)

	id := jobs.NewID()
	document := fmt.Sprintf(`{"id":%q,"program":"echo","input":{"data":{"beans":[1,2.50]}},"result":{"url":"%s/%s"}}`, id, p.url, id)
	putByHand(t, server.Addr, document)
	byHand := p.final(p.url + "/" + id)

	for _, result := range []jobs.Result{byLibrary, byHand} {
		if result.State != jobs.Succeeded || string(result.Result) != `{"beans":[1,2.50]}` {
			t.Errorf("result %s %s, want the input", result.State, result.Result)
		}
	}
}

func TestKilledNodeRunsItsJobAgainAtOnceAfterARestart(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	url := p.submit("hangs", `"once"`)
	p.until("progress", func() bool {
		r, ok := p.get(url)
		return ok && r.State == jobs.Running && r.Message == "holding on"
	})
	p.end(syscall.SIGKILL)
	p.start("worker")
	result := p.final(url)
	if result.State != jobs.Succeeded || result.Attempt != 2 || string(result.Result) != `"once"` {
		t.Errorf("%s in attempt %d with %s, want success in attempt 2", result.State, result.Attempt, result.Result)
	}
	out, _, _ := p.client("", "show", url)
	if !strings.Contains(out, "lost") {
		t.Errorf("show does not tell of the lost attempt:\n%s", out)
	}
}

func TestNodeWaitsForBeanstalkdAndSaysSo(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	server.Stop()
	p := newNode(t, server.Addr)
	p.start("worker")
	p.until("a log line that names the server", func() bool { return strings.Contains(p.log.String(), server.Addr) })
	answer, err := http.Get(p.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d without beanstalkd, want 503", answer.StatusCode)
	}
	url := p.submit("echo", "1") // is recorded without beanstalkd
	server.Restart()
	if r := p.final(url); r.State != jobs.Succeeded {
		t.Errorf("state %s once beanstalkd is there", r.State)
	}
}

func TestBeanstalkdGoneAndBackInTheMiddle(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")
	before := p.submit("echo", `"before"`)
	p.final(before)
	server.Kill()
	between := p.submit("echo", `"between"`)
	server.Wipe()
	server.Restart()
	if r := p.final(between); r.State != jobs.Succeeded {
		t.Errorf("state %s of a job that was accepted meanwhile", r.State)
	}
	after := p.submit("echo", `"after"`)
	if r := p.final(after); r.State != jobs.Succeeded {
		t.Errorf("state %s of a job after it", r.State)
	}
}

func TestStoppedNodeGivesBackWhatRuns(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_SHUTDOWN_GRACE=10ms", "RUNNERBEAN_GRACE=1s")
	p.start("worker")
	url := p.submit("hangs", "1")
	p.until("progress", func() bool {
		r, ok := p.get(url)
		return ok && r.Message == "holding on"
	})
	p.end(syscall.SIGTERM)
	p.start("worker")
	if r := p.final(url); r.State != jobs.Succeeded || r.Attempt != 2 {
		t.Errorf("%s in attempt %d, want success in attempt 2", r.State, r.Attempt)
	}
	out, _, _ := p.client("", "show", url)
	if !strings.Contains(out, "interrupted") {
		t.Errorf("show does not tell of the interrupted attempt:\n%s", out)
	}
}

func TestSecondNodeOnOneDataFolderIsRefused(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	_, log, code := p.client("", "worker")
	if code != exitError || !strings.Contains(log, "RUNNERBEAN_DATA") {
		t.Errorf("exit code %d, %q; want 1 and what to do", code, log)
	}
}

func TestDevEndsAllWithOneSignal(t *testing.T) {
	t.Parallel()
	addr := freePort(t)
	p := newNode(t, addr)
	p.start("dev")
	url := p.submit("echo", "1")
	if r := p.final(url); r.State != jobs.Succeeded {
		t.Errorf("state %s", r.State)
	}
	p.end(syscall.SIGINT)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.log)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("beanstalkd still answers")
	}
}

// TestDevOnASocket runs beanstalkd at unix:/PATH twice. The first one is killed and leaves
// its socket.
func TestDevOnASocket(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "rb") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	p := newNode(t, " UNIX://"+folder+"/b.sock")
	for range 2 {
		p.start("dev")
		if r := p.final(p.submit("echo", "1")); r.State != jobs.Succeeded {
			t.Errorf("state %s", r.State)
		}
		p.end(syscall.SIGKILL)
	}
}

func TestKilledDevLeavesNoBeanstalkd(t *testing.T) {
	t.Parallel()
	addr := freePort(t)
	p := newNode(t, addr)
	p.start("dev")
	p.end(syscall.SIGKILL)
	p.until("the end of beanstalkd", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}
