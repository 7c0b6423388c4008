package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestNodeEndsWhenItsDiskFails makes syncs of the ledger fail. The node must end with an
// exit code for its service manager and log why. Jobs that it accepted before must
// succeed after the next start.
func TestNodeEndsWhenItsDiskFails(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("%v: install the package strace", err)
	}
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker") // so that the file exists
	p.end(syscall.SIGTERM)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.log = &lockedBuffer{}
	cmd := exec.Command(strace, "-f", "-qq", "-o", filepath.Join(t.TempDir(), "calls"), "-e", "signal=none", "-e", "trace=fdatasync",
		"-P", filepath.Join(p.data(), "ledger.db-wal"), "-e", "inject=fdatasync:error=EIO:when=3+", self, "worker")
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // strace detaches the node when strace is killed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	var accepted []string
	for deadline := time.After(patience); ; {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != exitError {
				t.Fatalf("it ended with %v\n%s", err, p.log)
			}
		case <-deadline:
			t.Fatalf("it does not end\n%s", p.log)
		default:
			if out, _, code := p.client("", "submit", "--program", "echo", "--data", "7"); code == 0 {
				accepted = append(accepted, strings.TrimSpace(out))
			}
			continue
		}
		break
	}
	if log := p.log.String(); !strings.Contains(log, "the disk has failed this node") || !strings.Contains(log, "fdatasync: input/output error") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	p.start("worker")
	for _, url := range accepted {
		if result := p.final(url); result.State != jobs.Succeeded || string(result.Result) != "7" {
			t.Errorf("%s: %+v", url, result)
		}
	}
}

// data returns the data folder of the node without symbolic links.
func (p *process) data() string {
	p.t.Helper()
	for _, kv := range p.env {
		if folder, ok := strings.CutPrefix(kv, "RUNNERBEAN_DATA="); ok {
			folder, err := filepath.EvalSymlinks(filepath.Dir(folder))
			if err != nil {
				p.t.Fatal(err)
			}
			return filepath.Join(folder, "data")
		}
	}
	p.t.Fatal("no data folder")
	return ""
}
