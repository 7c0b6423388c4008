package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
)

// nodeCommands are the commands that run a node. Each gets its own beanstalkd.
var nodeCommands = map[string]func(t *testing.T) *process{
	"worker": func(t *testing.T) *process { return newNode(t, queuetest.Start(t).Addr) },
	"dev":    func(t *testing.T) *process { return newNode(t, freePort(t)) },
}

func forNodeCommands(t *testing.T, test func(t *testing.T, command string, p *process)) {
	for command, prepare := range nodeCommands {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			test(t, command, prepare(t))
		})
	}
}

func TestHangupChecksProgramsAgainAndEndsNothing(t *testing.T) {
	t.Parallel()
	forNodeCommands(t, func(t *testing.T, command string, p *process) {
		p.start(command)
		hangs := p.submit("hangs", "1")
		p.until("progress", func() bool { r, _ := p.get(hangs); return r.Message == "holding on" })
		for n := range 3 {
			p.signal(syscall.SIGHUP)
			p.logs("the programs were checked again", n+1)
		}
		if r := p.final(p.submit("echo", "7")); r.State != jobs.Succeeded {
			t.Errorf("state %s after SIGHUP", r.State)
		}
		if r, _ := p.get(hangs); r.State != jobs.Running || r.Attempt != 1 {
			t.Errorf("the job that ran is %s in attempt %d", r.State, r.Attempt)
		}
		p.must("cancel", hangs)
		p.final(hangs)
		p.end(syscall.SIGTERM)
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// selfSigned writes a certificate and its key into a folder.
func selfSigned(t *testing.T, folder string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

func TestHangupReadsTokensKeysAndCertificatesAgain(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	folder := t.TempDir()
	certificate, key := selfSigned(t, folder)
	tokens, urlKeys := filepath.Join(folder, "tokens"), filepath.Join(folder, "url.key")
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(tokens, "")
	put(urlKeys, strings.Repeat("k", signature.MinURLKey)+"\n")
	p.env = append(p.env, "RUNNERBEAN_TOKENS_FILE="+tokens, "RUNNERBEAN_RESULTS=signed", "RUNNERBEAN_URL_KEY_FILE="+urlKeys,
		"RUNNERBEAN_TLS_CERT="+certificate, "RUNNERBEAN_TLS_KEY="+key)
	p.launch("worker")
	p.logs("node is up", 1)
	files := []string{"RUNNERBEAN_TOKENS_FILE", "RUNNERBEAN_URL_KEY_FILE", `"RUNNERBEAN_TLS_CERT and RUNNERBEAN_TLS_KEY"`}
	p.signal(syscall.SIGHUP)
	for _, setting := range files {
		p.logs(`read again setting=`+setting, 1)
	}
	for _, path := range []string{tokens, urlKeys, certificate} {
		put(path, "x\n")
	}
	for n := range 2 { // a fault is said each time
		p.signal(syscall.SIGHUP)
		for _, setting := range files {
			p.logs(`stays in force setting=`+setting, n+1)
		}
	}
}

func TestHangupReplacesTheTokenOfTheTokenFile(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	file := filepath.Join(t.TempDir(), "token")
	p.env = append(p.env, "RUNNERBEAN_TOKEN_FILE="+file)
	first, second := strings.Repeat("a", 20), strings.Repeat("b", 20)
	status := func(token string) int {
		request, err := http.NewRequest(http.MethodGet, p.url+"/api/v1/nodes", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	write(t, file, first+"\n")
	p.start("worker")
	write(t, file, "short\n")
	p.signal(syscall.SIGHUP)
	p.logs(`stays in force setting=RUNNERBEAN_TOKEN_FILE`, 1)
	if status(first) != http.StatusOK {
		t.Error("a file with a fault changes the token")
	}
	write(t, file, second+"\n")
	p.signal(syscall.SIGHUP)
	p.logs(`read again setting=RUNNERBEAN_TOKEN_FILE`, 1)
	if status(second) != http.StatusOK || status(first) != http.StatusUnauthorized {
		t.Errorf("the new token gets %d, the old one %d", status(second), status(first))
	}
	if log := p.log.String(); strings.Contains(log, first) || strings.Contains(log, second) {
		t.Error("a token is in the log")
	}
}

// onPipe makes a pipe the standard error of the node, as small as the kernel allows.
func (p *process) onPipe() (reader *os.File) {
	p.t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { reader.Close(); writer.Close() })
	if _, err := unix.FcntlInt(writer.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		p.t.Fatal(err)
	}
	p.stderr = writer
	return reader
}

// dropped returns how many lines of its log the node has dropped.
func (p *process) dropped() int {
	p.t.Helper()
	for line := range strings.Lines(p.text("/metrics")) {
		if value, ok := strings.CutPrefix(line, "runnerbean_log_dropped_total "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return int(n)
		}
	}
	p.t.Fatal("there is no metric of dropped lines")
	return 0
}

func TestBrokenLogPipeEndsNoNode(t *testing.T) {
	t.Parallel()
	forNodeCommands(t, func(t *testing.T, command string, p *process) {
		reader := p.onPipe()
		p.start(command)
		p.stderr.Close()
		reader.Close()
		for range 2 {
			if r := p.final(p.submit("echo", "7")); r.State != jobs.Succeeded {
				t.Errorf("state %s without a reader of the log", r.State)
			}
		}
		p.until("the lost lines are counted", func() bool { return p.dropped() > 0 })
		p.end(syscall.SIGTERM)
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// fillLog runs jobs that make long lines until the node has dropped more than some lines.
// The buffer and what is on its way hold the lines of about 400 jobs.
func (p *process) fillLog(dropped int) {
	p.t.Helper()
	for range 50 {
		url := ""
		for range 50 {
			url = p.postJob(`{"program":"loud","input":{"data":1}}`)
		}
		if r := p.final(url); r.State != jobs.Failed {
			p.t.Fatalf("state %s", r.State)
		}
		if p.dropped() > dropped {
			return
		}
	}
	p.t.Fatal("no lines are dropped")
}

func TestLogThatNobodyReadsBlocksNeitherJobsNorTheEnd(t *testing.T) {
	t.Parallel()
	forNodeCommands(t, func(t *testing.T, command string, p *process) {
		p.install("loud", "head -c 1000 /dev/zero | tr '\\0' x >&2; exit 65")
		reader := p.onPipe()
		p.start(command)
		p.stderr.Close()
		p.fillLog(0)
		if r := p.final(p.submit("echo", "7")); r.State != jobs.Succeeded {
			t.Errorf("state %s while the log is stuck", r.State)
		}
		read, told := make(chan struct{}), make(chan struct{})
		var text bytes.Buffer
		go func() {
			defer close(read)
			chunk := make([]byte, 4096)
			for {
				n, err := reader.Read(chunk)
				text.Write(chunk[:n])
				if bytes.Contains(text.Bytes(), []byte("lines of this log were dropped")) || err != nil {
					break
				}
			}
			close(told)
		}()
		select {
		case <-told:
		case <-time.After(patience):
			t.Fatal("the log does not tell of dropped lines")
		}
		<-read
		p.fillLog(p.dropped())
		p.end(syscall.SIGTERM)
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// TestProgramsGetDefaultSignals starts a node that was started with SIGHUP and SIGPIPE
// ignored, as nohup and systemd do. Its programs do not ignore them.
func TestProgramsGetDefaultSignals(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.install("ignored", `printf '"%s"' "$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/self/status)"`)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]string{"usual": "", "ignored": "trap '' HUP PIPE\n"} {
		p.self = filepath.Join(t.TempDir(), name)
		write(t, p.self, "#!/bin/sh\n"+before+`exec `+self+` "$@"`+"\n")
		p.start("worker")
		r := p.final(p.submit("ignored", "1"))
		ignored, err := strconv.ParseUint(strings.Trim(string(r.Result), `"`), 16, 64)
		if err != nil {
			t.Fatalf("%s: %s: %v", r.State, r.Result, err)
		}
		if both := uint64(1<<(syscall.SIGHUP-1) | 1<<(syscall.SIGPIPE-1)); ignored&both != 0 {
			t.Errorf("%s: the program ignores signals %#x", name, ignored&both)
		}
		p.signal(syscall.SIGHUP)
		p.logs("the programs were checked again", 1)
		p.end(syscall.SIGTERM)
	}
}

func TestClientsEndWithABrokenPipeAndAHangup(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	list := exec.CommandContext(t.Context(), self, "help", "config")
	list.Env, list.Stdout = p.env, writer
	_ = list.Run()
	if status, ok := list.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGPIPE {
		t.Errorf("with a broken pipe: %v, want SIGPIPE", list.ProcessState)
	}
	hangs := p.submit("hangs", "1")
	watch := exec.CommandContext(t.Context(), self, "logs", "-f", idOf(hangs))
	watch.Env = p.env
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	if err := watch.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = watch.Wait()
	if status, ok := watch.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGHUP {
		t.Errorf("after a hang-up: %v, want SIGHUP", watch.ProcessState)
	}
}

// TestTerminalThatStopsOrCloses starts a node at a terminal of its own. Ctrl-S stops the
// log, and then the terminal closes, which sends SIGHUP. Jobs go on.
func TestTerminalThatStopsOrCloses(t *testing.T) {
	t.Parallel()
	forNodeCommands(t, func(t *testing.T, command string, p *process) {
		p.install("loud", "head -c 1000 /dev/zero | tr '\\0' x >&2; exit 65")
		keyboard, tty := openTerminal(t)
		p.stderr, p.attr = tty, &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2}
		p.start(command)
		tty.Close()
		if _, err := keyboard.WriteString("\x13"); err != nil {
			t.Fatal(err)
		}
		p.fillLog(0)
		if r := p.final(p.submit("echo", "7")); r.State != jobs.Succeeded {
			t.Errorf("state %s while the terminal stands still", r.State)
		}
		if err := keyboard.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if r := p.final(p.submit("echo", "7")); r.State != jobs.Succeeded {
				t.Errorf("state %s without a terminal", r.State)
			}
		}
		p.end(syscall.SIGTERM)
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}
