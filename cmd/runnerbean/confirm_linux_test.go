package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// openTerminal makes a pseudo terminal. The test types on keyboard.
func openTerminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	return keyboard, tty
}

func TestSelectionAsksAtATerminal(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_SLOTS=0") // nothing runs
	p.start("worker")
	for range 3 {
		p.submit("echo", "1")
	}
	for _, test := range []struct {
		typed, says string
		code        int
	}{
		{"n\n", "nothing was done", exitError},
		{"\n", "nothing was done", exitError},
		{"\x04", "nothing was done", exitError}, // end of input
		{"yes\n", "3 jobs cancelled", 0},
	} {
		screen, code := p.atTerminal(test.typed, "cancel", "--program", "echo")
		if code != test.code || !strings.Contains(screen, "cancel 3 jobs? [y/N]") || !strings.Contains(screen, test.says) {
			t.Errorf("%q: exit code %d\n%s", test.typed, code, screen)
		}
	}
	if screen, _ := p.atTerminal("", "retry", "--program", "echo", "--yes"); !strings.Contains(screen, "/3") || !strings.Contains(screen, "3 jobs queued again") {
		t.Errorf("no bar in %q", screen)
	}
}

// atTerminal runs a command on a terminal, types, and returns what the screen shows.
func (p *process) atTerminal(typed string, args ...string) (screen string, code int) {
	p.t.Helper()
	keyboard, tty := openTerminal(p.t)
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.CommandContext(p.t.Context(), self, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.env, tty, tty, tty
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	tty.Close()
	if _, err := keyboard.WriteString(typed); err != nil {
		p.t.Fatal(err)
	}
	var seen bytes.Buffer
	_, _ = seen.ReadFrom(keyboard) // ends with an error when the command has closed it
	_ = cmd.Wait()
	return seen.String(), cmd.ProcessState.ExitCode()
}
