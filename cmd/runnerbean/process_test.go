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

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/beanstalkd"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// asRunnerbean in the environment makes the test binary behave as the real one.
	asRunnerbean = "TEST_AS_RUNNERBEAN"
	// unitsIn names the folders in which it looks for units.
	unitsIn = "TEST_UNITS_IN"
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

// patience bounds every wait.
const patience = 30 * time.Second

// programs are the shell scripts that the tests install.
var programs = map[string]string{
	"echo": "cat",
	// hangs reports progress and does not end in its first attempt.
	"hangs": `echo '{"progress":0.5,"message":"holding on"}' >&3
[ "$RUNNERBEAN_ATTEMPT" = 1 ] && exec sleep 1000
cat`,
	// strays starts a child in another session, and reports its process id.
	"strays": `[ "$RUNNERBEAN_ATTEMPT" = 1 ] || exec cat
setsid sleep 1000 </dev/null >/dev/null 2>&1 3>&- &
echo "{\"message\":\"$!\"}" >&3
exec sleep 1000`,
	"refuses": "echo no such meter >&2; exit 65",
}

// process is a node in another process.
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
	// openFiles is the limit of open files; 0 leaves that of the test.
	openFiles int
	stderr    *os.File // of the node, instead of log
}

// newNode prepares a node without starting it.
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

// startWorker starts a node and its own beanstalkd.
func startWorker(t *testing.T) *process {
	t.Helper()
	p := newNode(t, queuetest.Start(t).Addr)
	p.start("worker")
	return p
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
	if p.stderr != nil {
		p.cmd.Stderr = p.stderr
	}
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
	p.wait(signal.String() + " ends it")
}

// wait waits for the end of the process.
func (p *process) wait(what string) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("never came to pass: %s\n%s", what, p.log)
	}
}

// signal sends a signal and does not wait for its effect.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// logs waits for n lines with some words.
func (p *process) logs(words string, n int) {
	p.t.Helper()
	p.until(fmt.Sprintf("%d log lines with %q", n, words), func() bool { return strings.Count(p.log.String(), words) >= n })
}

// until polls until a condition is true.
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

// client runs a command as a client of the node.
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

// submit submits a job with the command line, and returns its URL.
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

// beside prepares another node with the same ledger and store.
func (p *process) beside(name string) *process {
	p.t.Helper()
	q := newNode(p.t, p.setting("BEANSTALKD"))
	data := p.setting("DATA")
	for _, n := range []*process{p, q} {
		n.env = append(n.env, "RUNNERBEAN_LEDGER=sqlite:"+filepath.Join(data, "ledger.db"), "RUNNERBEAN_STORE=file://"+filepath.Join(data, "store"))
	}
	q.env = append(q.env, "RUNNERBEAN_NODE="+name)
	return q
}

// setting returns the value of a setting of the node.
func (p *process) setting(name string) (value string) {
	for _, kv := range p.env {
		if v, ok := strings.CutPrefix(kv, settings.EnvPrefix+name+"="); ok {
			value = v
		}
	}
	return value
}

// must runs a command that has to succeed.
func (p *process) must(args ...string) string {
	p.t.Helper()
	out, log, code := p.client("", args...)
	if code != 0 {
		p.t.Fatalf("%v: exit code %d\n%s%s", args, code, out, log)
	}
	return out
}

// postJob submits a document with the API, and returns the URL of the job.
func (p *process) postJob(document string) string {
	p.t.Helper()
	answer, err := http.Post(p.url+"/api/v1/jobs", "application/json", strings.NewReader(document))
	if err != nil {
		p.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		p.t.Fatalf("%s: %s", document, answer.Status)
	}
	return answer.Header.Get("Location")
}

// expect runs a command, and checks its exit code and a part of its output.
func (p *process) expect(code int, words string, args ...string) (stdout string) {
	p.t.Helper()
	out, log, got := p.client("", args...)
	if got != code || !strings.Contains(out+log, words) {
		p.t.Errorf("%q: exit code %d, want %d and %q\n%s%s", args, got, code, words, out, log)
	}
	return out
}

func (p *process) details(id string) (d api.Details) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.expect(0, "", "show", id, "--json")), &d); err != nil {
		p.t.Fatal(err)
	}
	return d
}

// text returns the body of a path of the node.
func (p *process) text(path string) string { return p.textAs("", path) }

// textAs does what text does, with a token.
func (p *process) textAs(token, path string) string {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %v\n%s", path, answer.Status, err, body)
	}
	return string(body)
}

// install adds a program.
func (p *process) install(name, text string) {
	p.t.Helper()
	write(p.t, filepath.Join(p.setting("PROGRAMS"), name), "#!/bin/sh\n"+text+"\n")
}

// api gets JSON from the node.
func (p *process) api(path string, to any) {
	p.t.Helper()
	answer, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(to); err != nil {
		p.t.Fatalf("%s: %v", path, err)
	}
}
func idOf(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

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

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// lockedBuffer is a buffer that a process writes and a test reads.
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
