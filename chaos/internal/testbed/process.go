package testbed

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// Process is a program that is started again and again under one name. Its
// methods are not safe for concurrent use.
type Process struct {
	bed   *Testbed
	Name  string
	path  string
	Args  []string
	Env   []string // the whole environment
	slots int      // of a node

	mu       sync.Mutex
	cmd      *exec.Cmd
	expected bool // it may end
	paused   bool // by SIGSTOP
	done     chan struct{}
}

func (bed *Testbed) process(name, path string, args, env []string) *Process {
	if place, ok := bed.Places[name]; ok {
		args = slices.Concat(place.Enter[1:], []string{path}, args)
		path = place.Enter[0]
	}
	p := &Process{bed: bed, Name: name, path: path, Args: args, Env: env}
	bed.atEnd(p.end)
	return p
}

// NewProcess returns any server that is not started.
func (bed *Testbed) NewProcess(name, path string, args, env []string) *Process {
	return bed.process(name, path, args, env)
}

// Use sets the program of the next start.
func (p *Process) Use(path string) { p.path = path }

// Setenv sets variables of the environment of the next start.
func (p *Process) Setenv(variables map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(variables)) {
		p.Env = slices.DeleteFunc(p.Env, func(pair string) bool { return strings.HasPrefix(pair, key+"=") })
		p.Env = append(p.Env, key+"="+variables[key])
	}
}

// LogFile returns the file with the output of all lives of the process.
func (p *Process) LogFile() string { return filepath.Join(p.bed.Dir, p.Name+".log") }

// Start starts the process, which must not be running.
func (p *Process) Start() error {
	log, err := os.OpenFile(p.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.Args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = p.Env, log, log, p.bed.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C goes to this process only
	p.bed.History.Note(check.Event{What: check.Start, Who: p.Name, N: float64(p.slots)})
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.expected, p.done = cmd, false, make(chan struct{})
	go p.wait(cmd, p.done)
	return nil
}

func (p *Process) wait(cmd *exec.Cmd, done chan struct{}) {
	err := cmd.Wait()
	p.mu.Lock()
	asked := p.expected
	p.mu.Unlock()
	if !asked {
		p.bed.History.Note(check.Event{What: check.Died, Who: p.Name, Text: fmt.Sprint(err)})
	}
	close(done)
}

// Alive reports whether the process runs.
func (p *Process) Alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// PID returns the id of the present or last process, or 0 before the first
// start.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() { p.EndWith(syscall.SIGKILL, check.Kill, 0) }

// Terminate sends SIGTERM, and SIGKILL if the process has not ended after
// grace.
func (p *Process) Terminate(grace time.Duration) { p.EndWith(syscall.SIGTERM, check.Term, grace) }

// EndWith sends a signal and records it as what. With a grace period, it sends
// SIGKILL after that. It returns when the process has ended.
func (p *Process) EndWith(sig syscall.Signal, what string, grace time.Duration) {
	if !p.Alive() {
		return
	}
	p.mu.Lock()
	p.expected = true
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	p.bed.History.Note(check.Event{What: what, Who: p.Name})
	p.send(cmd, sig)
	if grace > 0 {
		select {
		case <-done:
			return
		case <-time.After(grace):
		}
		p.bed.History.Note(check.Event{What: check.Kill, Who: p.Name, Text: "it did not end after SIGTERM"})
		p.send(cmd, syscall.SIGKILL)
	}
	<-done
}

func (p *Process) send(cmd *exec.Cmd, sig syscall.Signal) {
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.bed.History.Logf("%s: %v: %v", p.Name, sig, err)
	}
}

// Pause sends SIGSTOP, and Resume SIGCONT.
func (p *Process) Pause() {
	p.setPaused(true)
	p.send(p.cmd, syscall.SIGSTOP)
	p.bed.History.Note(check.Event{What: check.Stop, Who: p.Name})
}

func (p *Process) Resume() {
	p.bed.History.Note(check.Event{What: check.Continue, Who: p.Name})
	p.send(p.cmd, syscall.SIGCONT)
	p.setPaused(false)
}

func (p *Process) setPaused(still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = still
}

func (p *Process) isPaused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// end ends the process at the end of a scenario.
func (p *Process) end() {
	if p.Alive() {
		p.send(p.cmd, syscall.SIGCONT)
		p.Terminate(8 * time.Second)
	}
}

// ExpectEnd says whether the process may end, and returns whether it might
// before.
func (p *Process) ExpectEnd(expected bool) (before bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.expected = p.expected, expected
	return before
}
