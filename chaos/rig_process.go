package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// process is a program that the rig starts again and again under one name.
// Only one goroutine at a time may act on it.
type process struct {
	rig   *rig
	name  string
	path  string
	args  []string
	env   []string // all of it
	slots int      // for the history

	mu    sync.Mutex
	cmd   *exec.Cmd
	asked bool // its end was asked for
	still bool // it is stopped
	done  chan struct{}
}

func (r *rig) process(name, path string, args, env []string) *process {
	p := &process{rig: r, name: name, path: path, args: args, env: env}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.processes = append(r.processes, p)
	return p
}

// log is the file that takes what all lives of the process write.
func (p *process) log() string { return filepath.Join(p.rig.dir, p.name+".log") }

// start starts it; it must not be running.
func (p *process) start() error {
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = p.env, log, log, p.rig.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the rig alone
	p.rig.note(check.Event{What: check.Start, Who: p.name, N: float64(p.slots)})
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.asked, p.done = cmd, false, make(chan struct{})
	go p.wait(cmd, p.done)
	return nil
}

func (p *process) wait(cmd *exec.Cmd, done chan struct{}) {
	err := cmd.Wait()
	p.mu.Lock()
	asked := p.asked
	p.mu.Unlock()
	if !asked {
		p.rig.note(check.Event{What: check.Died, Who: p.name, Text: fmt.Sprint(err)})
	}
	close(done)
}

// alive reports whether it runs.
func (p *process) alive() bool {
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

// pid of its present or last life; 0 before the first.
func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// kill ends it with SIGKILL and waits until it is gone.
func (p *process) kill() { p.signalEnd(syscall.SIGKILL, check.Kill, 0) }

// term asks it to end, and kills it where it has not after grace.
func (p *process) term(grace time.Duration) { p.signalEnd(syscall.SIGTERM, check.Term, grace) }

func (p *process) signalEnd(sig syscall.Signal, what string, grace time.Duration) {
	if !p.alive() {
		return
	}
	p.mu.Lock()
	p.asked = true
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	p.rig.note(check.Event{What: what, Who: p.name})
	p.send(cmd, sig)
	if grace > 0 {
		select {
		case <-done:
			return
		case <-time.After(grace):
		}
		p.rig.note(check.Event{What: check.Kill, Who: p.name, Text: "it did not end after SIGTERM"})
		p.send(cmd, syscall.SIGKILL)
	}
	<-done
}

func (p *process) send(cmd *exec.Cmd, sig syscall.Signal) {
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.rig.say("%s: %v: %v", p.name, sig, err)
	}
}

// pause stops it with SIGSTOP; resume lets it go on.
func (p *process) pause() {
	p.setStill(true)
	p.send(p.cmd, syscall.SIGSTOP)
	p.rig.note(check.Event{What: check.Stop, Who: p.name})
}

func (p *process) resume() {
	p.rig.note(check.Event{What: check.Continue, Who: p.name})
	p.send(p.cmd, syscall.SIGCONT)
	p.setStill(false)
}

func (p *process) setStill(still bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.still = still
}

func (p *process) stopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.still
}

// end ends it at the end of a scenario, whatever its state.
func (p *process) end() {
	if p.alive() {
		p.send(p.cmd, syscall.SIGCONT)
		p.term(8 * time.Second)
	}
}
