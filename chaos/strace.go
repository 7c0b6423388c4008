package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// tracer is an strace attached to a process.
type tracer struct {
	cmd    *exec.Cmd
	output string
	said   *strings.Builder
	read   chan struct{} // closed when its messages have been read
	pid    int
	killed int // id of the process if it was killed
}

// traced is one system call. The result is "?" if it did not return.
type traced struct{ thread, name, args, result string }

// startTrace attaches strace to all threads of a process. It traces the calls
// in names, and injects faults unless inject is empty.
func startTrace(ctx context.Context, bed *testbed.Testbed, pid int, names, inject string) (*tracer, error) {
	path, err := exec.LookPath("strace")
	if err != nil {
		return nil, fmt.Errorf("%w: install the package strace", err)
	}
	file, err := os.CreateTemp(bed.Dir, "strace-")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	args := []string{"-f", "-yy", "-s", "200", "-e", "signal=none", "-e", "trace=" + names, "-o", file.Name()}
	if inject != "" {
		args = append(args, "-e", "inject="+inject)
	}
	t := &tracer{output: file.Name(), said: &strings.Builder{}, read: make(chan struct{}), pid: pid}
	t.cmd = exec.CommandContext(ctx, path, append(args, "-p", fmt.Sprint(pid))...)
	t.cmd.Cancel = func() error { return t.cmd.Process.Signal(syscall.SIGTERM) } // strace then detaches
	t.cmd.WaitDelay = 5 * time.Second
	return t, t.attach()
}

func (t *tracer) attach() error {
	said, err := t.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := t.cmd.Start(); err != nil {
		return err
	}
	attached := make(chan bool, 1)
	go func() {
		defer close(t.read)
		defer close(attached)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			t.said.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), " attached") {
				select {
				case attached <- true:
				default:
				}
			}
		}
	}()
	if ok := <-attached; !ok {
		_ = t.cmd.Wait()
		return fmt.Errorf("strace cannot attach; it must be allowed to trace processes: %s", t.said)
	}
	return nil
}

// hit reports whether an error was injected.
func (t *tracer) hit() bool {
	text, err := os.ReadFile(t.output)
	return err == nil && strings.Contains(string(text), "(INJECTED)")
}

// release detaches strace.
func (t *tracer) release() { _ = t.cmd.Process.Signal(syscall.SIGTERM) }

// end detaches strace and returns the calls in the order of their ends.
func (t *tracer) end() ([]traced, error) {
	t.release()
	<-t.read
	_ = t.cmd.Wait() // it ends by the signal or with the process
	text, err := os.ReadFile(t.output)
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(text), "+++ killed by SIGKILL +++") {
		t.killed = t.pid
	}
	return parseTrace(string(text)), os.Remove(t.output)
}

var (
	wholeCall = regexp.MustCompile(`^(\d+) +(\w+)\((.*)\) += (.+)$`)
	callBegun = regexp.MustCompile(`^(\d+) +(\w+)\((.*) <unfinished \.\.\.>$`)
	callEnded = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (.+)$`)
)

func parseTrace(text string) (calls []traced) {
	open := map[string]traced{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := wholeCall.FindStringSubmatch(line); m != nil {
			calls = append(calls, traced{m[1], m[2], m[3], m[4]})
		} else if m := callBegun.FindStringSubmatch(line); m != nil {
			open[m[1]] = traced{thread: m[1], name: m[2], args: m[3]}
		} else if m := callEnded.FindStringSubmatch(line); m != nil && open[m[1]].name == m[2] {
			calls = append(calls, traced{m[1], m[2], open[m[1]].args + m[3], m[4]})
		}
	}
	return calls
}
