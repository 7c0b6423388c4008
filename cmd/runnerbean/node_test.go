package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/beanstalkd"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// asRunnerbean makes the test binary behave as the real one, and unitsIn is where
// that finds units.
const (
	asRunnerbean = "TEST_AS_RUNNERBEAN"
	unitsIn      = "TEST_UNITS_IN"
)

func TestMain(m *testing.M) {
	if os.Getenv(asRunnerbean) != "" {
		if folders := os.Getenv(unitsIn); folders != "" {
			settings.UnitFolders = filepath.SplitList(folders)
		}
		main()
		return
	}
	os.Exit(m.Run())
}

// patience bounds every wait: a busy machine may be slow, a test must end.
const patience = 30 * time.Second

// process is a node that runs as a process of its own.
type process struct {
	t      *testing.T
	folder string // of the node
	env    []string
	url    string
	self   string               // the executable; default the test's own
	attr   *syscall.SysProcAttr // of the node
	cmd    *exec.Cmd
	log    *lockedBuffer
	done   chan struct{}
	// openFiles bounds the files that the process may open; 0: as the test.
	openFiles int
}

// lockedBuffer is written by a process and read by a test.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// programs are those that the tests install; the shell is their language.
var programs = map[string]string{
	"echo": "cat",
	// hangs holds on in its first attempt and tells where it is.
	"hangs": `echo '{"progress":0.5,"message":"holding on"}' >&3
[ "$RUNNERBEAN_ATTEMPT" = 1 ] && exec sleep 1000
cat`,
	// strays leaves a child in a session of its own, and says which.
	"strays": `[ "$RUNNERBEAN_ATTEMPT" = 1 ] || exec cat
setsid sleep 1000 </dev/null >/dev/null 2>&1 3>&- &
echo "{\"message\":\"$!\"}" >&3
exec sleep 1000`,
	"refuses": "echo no such meter >&2; exit 65",
}

// newNode prepares a node on a beanstalkd, without starting it.
func newNode(t *testing.T, beanstalkd string) *process {
	t.Helper()
	folder := t.TempDir()
	installed := filepath.Join(folder, "programs")
	if err := os.Mkdir(installed, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(installed, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	listen := freePort(t)
	env := append(os.Environ(), asRunnerbean+"=1",
		"RUNNERBEAN_BEANSTALKD="+beanstalkd, "RUNNERBEAN_NODE=n1", "RUNNERBEAN_LISTEN="+listen,
		"RUNNERBEAN_DATA="+filepath.Join(folder, "data"), "RUNNERBEAN_PROGRAMS="+installed,
		"RUNNERBEAN_SLOTS=2", "RUNNERBEAN_URL=http://"+listen, "RUNNERBEAN_LOG=text")
	return &process{t: t, folder: folder, env: env, url: "http://" + listen}
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := beanstalkd.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// start runs "runnerbean args" and waits until it answers.
func (p *process) start(args ...string) {
	p.t.Helper()
	p.launch(args...)
	p.until("answers", func() bool {
		answer, err := http.Get(p.url + "/healthz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

func (p *process) launch(args ...string) {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	p.log = &lockedBuffer{}
	p.cmd = exec.Command(cmp.Or(p.self, self), args...)
	if p.openFiles > 0 {
		limited := []string{"-c", `ulimit -n "$1" && shift && exec "$@"`, "sh", strconv.Itoa(p.openFiles), cmp.Or(p.self, self)}
		p.cmd = exec.Command("/bin/sh", append(limited, args...)...)
	}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = p.env, p.log, p.log, p.attr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.done = done
	cmd := p.cmd
	go func() { cmd.Wait(); close(done) }()
	p.t.Cleanup(func() { cmd.Process.Kill(); <-done })
}

// end sends a signal and waits for the process.
func (p *process) end(signal syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%v does not end it:\n%s", signal, p.log)
	}
}

// until polls what another process does, which tells nobody of its changes.
func (p *process) until(what string, true func() bool) {
	p.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !true() {
		select {
		case <-ticker.C:
		case <-deadline:
			p.t.Fatalf("never came to pass: %s\n%s", what, p.log)
		}
	}
}

// client runs the command line against the node.
func (p *process) client(stdin string, args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env, cmd.Stdin = p.env, strings.NewReader(stdin)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return out.String(), log.String(), cmd.ProcessState.ExitCode()
}

// submit puts a job through the durable door and returns its URL.
func (p *process) submit(program, data string) string {
	p.t.Helper()
	out, log, code := p.client("", "submit", "--program", program, "--data", data)
	if code != 0 {
		p.t.Fatalf("submit: exit code %d: %s", code, log)
	}
	return strings.TrimSpace(out)
}

// get reads a result URL; ok is false where it answers 404.
func (p *process) get(url string) (result jobs.Result, ok bool) {
	p.t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		return result, false
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode == http.StatusNotFound {
		return result, false
	}
	if err := json.Unmarshal(body, &result); err != nil {
		p.t.Fatalf("%s: %v\n%s", url, err, body)
	}
	return result, true
}

func (p *process) final(url string) jobs.Result {
	p.t.Helper()
	var result jobs.Result
	p.until("the end of "+url, func() bool {
		var ok bool
		result, ok = p.get(url)
		return ok && result.State.Final()
	})
	return result
}

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

// putByHand speaks beanstalkd's protocol as "printf … | nc" would.
func putByHand(t *testing.T, addr, document string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "use runnerbean/inbox\r\nput 1024 0 60 %d\r\n%s\r\nquit\r\n", len(document), document)
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "INSERTED") {
		t.Fatalf("beanstalkd answers %q, %v", answer, err)
	}
}

func TestKilledNodeRunsItsJobAgainAtOnceAfterARestart(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")
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
	url := p.submit("echo", "1") // recorded all the same
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
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")
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

// TestDevOnASocket runs beanstalkd at unix:/PATH, where a killed one has left its
// socket.
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
