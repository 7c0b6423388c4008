package main

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/jobs"
)

// terminalSession is a command that runs on a terminal.
type terminalSession struct {
	p        *process
	keyboard *os.File
	cmd      *exec.Cmd
	mu       sync.Mutex
	screen   strings.Builder // guarded by mu
}

func (s *terminalSession) watch() {
	part := make([]byte, 4096)
	for {
		n, err := s.keyboard.Read(part)
		s.mu.Lock()
		s.screen.Write(part[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// sees waits until the screen has shown a text since the last call.
func (s *terminalSession) sees(text string) {
	s.p.t.Helper()
	s.p.until("the text "+text, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !strings.Contains(s.screen.String(), text) {
			return false
		}
		s.screen.Reset()
		return true
	})
}

func (s *terminalSession) types(keys string) {
	s.p.t.Helper()
	if _, err := s.keyboard.WriteString(keys); err != nil {
		s.p.t.Fatal(err)
	}
}

// TestTopAtATerminal cancels a job of a real node from a real terminal.
func TestTopAtATerminal(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	url := p.submit("hangs", "1")
	p.until("progress", func() bool { r, ok := p.get(url); return ok && r.Message == "holding on" })
	s := p.onTerminal("top")
	s.sees("holding on")
	s.types("c")
	s.sees("y/N")
	s.types("y")
	if r := p.final(url); r.State != jobs.Cancelled {
		t.Errorf("state %s", r.State)
	}
	s.types("\t")
	s.types("d")
	s.sees("drained")
	s.types("q")
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("top ends with %v", err)
	}
}

// onTerminal starts a command on a terminal of 100 by 30.
func (p *process) onTerminal(args ...string) *terminalSession {
	p.t.Helper()
	keyboard, tty := openTerminal(p.t)
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 100}); err != nil {
		p.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	s := &terminalSession{p: p, keyboard: keyboard, cmd: exec.CommandContext(p.t.Context(), self, args...)}
	s.cmd.Env, s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = append(p.env, "TERM=xterm-256color"), tty, tty, tty
	if err := s.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	tty.Close()
	go s.watch()
	return s
}
