package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// tracer is an strace that is attached to a process.
type tracer struct {
	cmd    *exec.Cmd
	output string
	said   *strings.Builder
	read   chan struct{} // closed when all that it said was read
	pid    int
	killed int // the process, where it was killed before the end
}

// traced is one system call as strace tells it. Calls that did not come back
// have the result "?".
type traced struct{ thread, name, args, result string }

// trace attaches strace to all threads of a process and returns when it has
// done so. Names are those of the calls to look at; inject may be empty.
func (r *rig) trace(ctx context.Context, pid int, names, inject string) (*tracer, error) {
	path, err := exec.LookPath("strace")
	if err != nil {
		return nil, fmt.Errorf("%w: install the package strace", err)
	}
	file, err := os.CreateTemp(r.dir, "strace-")
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
	t.cmd.Cancel = func() error { return t.cmd.Process.Signal(syscall.SIGTERM) } // it lets go of the process
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
		return fmt.Errorf("strace cannot attach, for which it must be allowed to trace: %s", t.said)
	}
	return nil
}

// hit reports whether an error was injected.
func (t *tracer) hit() bool {
	text, err := os.ReadFile(t.output)
	return err == nil && strings.Contains(string(text), "(INJECTED)")
}

// release lets go of the process.
func (t *tracer) release() { _ = t.cmd.Process.Signal(syscall.SIGTERM) }

// end lets go of the process, and returns the calls in the order of their ends.
func (t *tracer) end() ([]traced, error) {
	t.release()
	<-t.read
	_ = t.cmd.Wait() // it ends by the signal, or as the process ended
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

var (
	paths   = regexp.MustCompile(`<([^<>]+)>|"([^"]*)"`)
	changes = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z2-7]{26}|\b[0-9a-f]{2}\b|lane-0[ab]|#?\d+( \(deleted\))?`)
	// withData are calls whose strings are data.
	withData = regexp.MustCompile(`^(p?read|p?write|send|recv)`)
)

// what says what a call is for, in the same words for every job, and whether it
// has to do with a job at all.
func (v *victim) what(c traced) (string, bool) {
	var words []string
	ours := false
	_, port := split(v.at.beanstalkd)
	home := filepath.Dir(v.at.store)
	// A call that did not come back has this in place of what it would have given.
	args := strings.ReplaceAll(c.args, "<unfinished ...>", "")
	for _, m := range paths.FindAllStringSubmatch(args, -1) {
		path := m[1] + m[2]
		if strings.Contains(path, ":"+port+"]") {
			ours, path = true, "beanstalkd"
		}
		for _, folder := range []string{home, filepath.Join(v.node.data, "scratch")} {
			if rest, ok := strings.CutPrefix(path, folder); ok {
				ours, path = true, rest
			}
		}
		if path != v.rig.dir { // the working folder, which is in all
			words = append(words, changes.ReplaceAllString(path, "*"))
		}
		if withData.MatchString(c.name) {
			break
		}
	}
	return strings.Join(append([]string{c.name}, words...), " "), ours
}
