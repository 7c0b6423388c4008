package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

func init() {
	programs["paused keeper"] = func(args []string) { // a node with a paused program that has a daemon
		if err := cgroup.Adopt(args[0]); err != nil {
			panic(err)
		}
		exe, _ := os.Executable()
		gate := NewPauseGate()
		spec := Spec{Path: exe, Args: []string{"daemon", "hang"}, Env: childEnv("parent"), Pause: gate}
		spec.Event = func(line []byte) {
			gate.Set(true)
			stranger := string(line)
			go func() {
				for !frozen(number([]string{stranger}, 0)) {
					time.Sleep(time.Millisecond)
				}
				fmt.Println(cgroup.Probe().Cgroup, stranger)
			}()
		}
		_, err := Run(context.Background(), spec)
		panic(err)
	}
}

// frozen reports whether the cgroup of a process is frozen.
func frozen(pid int) bool {
	name := path.Base(cgroupIn(procFile(pid, "cgroup")))
	events, _ := os.ReadFile(filepath.Join(cgroup.Probe().Cgroup, name, "cgroup.events"))
	return bytes.Contains(events, []byte("frozen 1"))
}

// work is a program with a child in another session. Both compute without end
// and print their ids as events.
const work = `PATH=/usr/bin:/bin; setsid sh -c 'echo $$ >&3; while :; do :; done' & echo $$ >&3; while :; do :; done`

// paused is a program that runs with a gate.
type paused struct {
	gate   *PauseGate
	cancel context.CancelFunc
	kill   context.CancelFunc
	pids   []int
	exit   chan Exit
}

// startPaused starts a script and waits for n process ids as events.
func startPaused(t *testing.T, bare bool, script string, n int, bound func(*Spec)) *paused {
	t.Helper()
	p := &paused{gate: NewPauseGate(), exit: make(chan Exit, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	kill, doKill := context.WithCancel(context.Background())
	p.cancel, p.kill = cancel, doKill
	t.Cleanup(doKill)
	lines := make(chan string, n)
	spec := Spec{
		Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Pause: p.gate, Kill: kill,
		Grace: time.Minute, Event: func(line []byte) { lines <- string(line) },
	}
	if bound != nil {
		bound(&spec)
	}
	go func() {
		exit, err := runIn(bare)(ctx, spec)
		if err != nil {
			t.Error(err)
		}
		p.exit <- exit
	}()
	for range n {
		select {
		case line := <-lines:
			p.pids = append(p.pids, pid(t, []byte(line)))
		case <-time.After(10 * time.Second):
			t.Fatal("the program does not start")
		}
	}
	return p
}

func (p *paused) used() (total uint64) {
	for _, pid := range p.pids {
		if st, ok := readStat(pid); ok {
			total += st.cpu
		}
	}
	return total
}

// stands waits until the program is stopped, and checks that it uses no CPU
// time.
func (p *paused) stands(t *testing.T) {
	t.Helper()
	until(t, "it stands still", func() bool {
		return !slices.ContainsFunc(p.pids, func(pid int) bool {
			st, _ := readStat(pid)
			return st.state != 'T' && !frozen(pid)
		})
	})
	before := p.used()
	time.Sleep(200 * time.Millisecond)
	if now := p.used(); now != before {
		t.Errorf("it used %d ticks in a pause", now-before)
	}
}

func (p *paused) goesOn(t *testing.T) {
	t.Helper()
	for _, pid := range p.pids {
		before, _ := readStat(pid)
		until(t, "it goes on", func() bool { st, ok := readStat(pid); return ok && st.cpu > before.cpu })
	}
}

func (p *paused) end(t *testing.T) Exit {
	t.Helper()
	select {
	case exit := <-p.exit:
		until(t, "nothing is left", func() bool { return !slices.ContainsFunc(p.pids, alive) })
		return exit
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
		return Exit{}
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, bare bool) {
		p := startPaused(t, bare, work, 2, nil)
		for range 2 {
			if !p.gate.Set(true) || p.gate.Set(true) {
				t.Error("to shut it once is a change, to shut it twice is none")
			}
			p.stands(t)
			p.gate.Set(false)
			p.goesOn(t)
		}
		p.cancel()
		if exit := p.end(t); !exit.Cancelled || exit.Paused < 400*time.Millisecond || exit.Paused >= exit.Wall {
			t.Errorf("%+v", exit)
		}
	})
}

// A program that is stopped during a pause ends as it would without the pause.
func TestStopInAPause(t *testing.T) {
	t.Parallel()
	const polite = `trap 'echo bye; exit 3' TERM; echo $$ >&3; while :; do :; done`
	for name, c := range map[string]struct {
		script string
		n      int
		stop   func(*paused)
		good   func(Exit) bool
	}{
		"cancel": {polite, 1, func(p *paused) { p.cancel() }, func(e Exit) bool {
			return e.Cancelled && e.Code == 3 && string(e.Stdout) == "bye\n"
		}},
		"kill": {work, 2, func(p *paused) { p.kill() }, func(e Exit) bool { return e.Killed && e.Signal == syscall.SIGKILL }},
		"cancel, then resume": {polite, 1, func(p *paused) { p.cancel(); p.gate.Set(false) }, func(e Exit) bool {
			return e.Cancelled && e.Code == 3
		}},
		"another kills it": {work, 2, func(p *paused) {
			_ = syscall.Kill(p.pids[0], syscall.SIGKILL)
			_ = syscall.Kill(p.pids[1], syscall.SIGKILL)
		}, func(e Exit) bool {
			return e.Signal == syscall.SIGKILL && !e.Killed
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, bare bool) {
				p := startPaused(t, bare, c.script, c.n, nil)
				p.gate.Set(true)
				p.stands(t)
				c.stop(p)
				if exit := p.end(t); !c.good(exit) || exit.Escaped > 0 || exit.Paused == 0 {
					t.Errorf("%+v", exit)
				}
			})
		})
	}
}

// A program that is being stopped is not paused, since it would never end.
func TestPauseOfWhatIsBeingStopped(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, bare bool) {
		const slow = `trap 'echo $$ >&3; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exit 3' TERM; echo $$ >&3; while :; do :; done`
		asked := make(chan struct{}, 2)
		p := startPaused(t, bare, slow, 1, func(s *Spec) {
			s.Grace = time.Hour
			said := s.Event
			s.Event = func(line []byte) {
				select {
				case asked <- struct{}{}:
				default:
				}
				if len(asked) == 1 {
					said(line)
				}
			}
		})
		p.cancel()
		until(t, "it was asked to end", func() bool { return len(asked) == 2 })
		p.gate.Set(true)
		if exit := p.end(t); exit.Code != 3 || exit.Paused != 0 {
			t.Errorf("%+v", exit)
		}
	})
}

// Timeout and stall limit do not count the time of a pause.
func TestClocksInAPause(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bound func(*Spec)
		good  func(Exit) bool
	}{
		"timeout": {func(s *Spec) { s.Timeout = 1500 * time.Millisecond }, func(e Exit) bool { return e.TimedOut }},
		"stall":   {func(s *Spec) { s.Stall = 1500 * time.Millisecond }, func(e Exit) bool { return e.Stalled }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothWays(t, func(t *testing.T, bare bool) {
				p := startPaused(t, bare, `echo $$ >&3; exec sleep 60`, 1, c.bound)
				p.gate.Set(true)
				select {
				case exit := <-p.exit:
					t.Fatalf("it was stopped in a pause: %+v", exit)
				case <-time.After(2500 * time.Millisecond):
				}
				p.gate.Set(false)
				exit := p.end(t)
				if ran := exit.Wall - exit.Paused; !c.good(exit) || ran < 1200*time.Millisecond {
					t.Errorf("it ran for %s: %+v", ran, exit)
				}
			})
		})
	}
}

// A process that had stopped itself does not continue after a pause.
func TestPauseOfWhatStoppedItself(t *testing.T) {
	t.Parallel()
	bothWays(t, func(t *testing.T, bare bool) {
		p := startPaused(t, bare, `setsid sh -c 'echo $$ >&3; kill -STOP $$; echo 7 >&3' & wait`, 1, nil)
		state := func() byte { st, _ := readStat(p.pids[0]); return st.state }
		until(t, "it has stopped itself", func() bool { return state() == 'T' })
		p.gate.Set(true)
		time.Sleep(100 * time.Millisecond)
		p.gate.Set(false)
		time.Sleep(100 * time.Millisecond)
		if s := state(); s != 'T' {
			t.Errorf("its state is %c", s)
		}
		p.cancel()
		if exit := p.end(t); !exit.Cancelled || exit.Escaped > 0 {
			t.Errorf("%+v", exit)
		}
	})
}

// No program starts while the gate is closed. If the gate closes during a
// start, the program is paused.
func TestStartInAPause(t *testing.T) {
	t.Parallel()
	gate := NewPauseGate()
	gate.Set(true)
	started := make(chan struct{}, 1)
	spec := Spec{Path: "/bin/true", Pause: gate, OnStart: func(int) { started <- struct{}{} }}
	why := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := make(chan error, 1)
	go func() { _, err := Run(ctx, spec); failed <- err }()
	cancel(why)
	if err := <-failed; !errors.Is(err, why) || len(started) > 0 {
		t.Errorf("%v, started %d", err, len(started))
	}
	ended := make(chan Exit, 1)
	go func() { exit, _ := Run(t.Context(), spec); ended <- exit }()
	gate.Set(false)
	if exit := <-ended; exit.Code != 0 || len(started) != 1 {
		t.Errorf("%+v", exit)
	}
	bothWays(t, func(t *testing.T, bare bool) {
		p := startPaused(t, bare, work, 2, func(s *Spec) {
			s.OnStart = func(int) { s.Pause.Set(true); time.AfterFunc(100*time.Millisecond, func() { s.Pause.Set(false) }) }
		})
		p.cancel()
		if exit := p.end(t); exit.Paused == 0 {
			t.Errorf("%+v", exit)
		}
	})
}

// A cgroup that was frozen is not used again: a program started in a frozen
// cgroup would hang.
func TestFrozenCgroupIsNotUsedAgain(t *testing.T) {
	needCgroup(t)
	p := startPaused(t, false, work, 2, nil)
	p.gate.Set(true)
	until(t, "it is frozen", func() bool { return frozen(p.pids[0]) })
	at := cgroupIn(procFile(p.pids[0], "cgroup"))
	p.kill()
	p.end(t)
	if again := cgroupIn(mustRun(t, Spec{Path: "/bin/cat", Args: []string{"/proc/self/cgroup"}}).Stdout); again == at {
		t.Errorf("%s is used again", at)
	}
}

// Adopt finds what a node left that was killed during a pause.
func TestAdoptClearsUpWhatIsFrozen(t *testing.T) {
	needCgroup(t)
	dead, dir, left := keeperOf(t, "paused keeper", t.Name())
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = dead.Wait()
	if err := cgroup.Adopt(t.Name()); err != nil || alive(left) {
		t.Errorf("the stranger is alive: %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("its cgroup: %v", err)
	}
}

// KillByEnvironment also kills stopped processes.
func TestKillByEnvironmentOfTheStopped(t *testing.T) {
	t.Parallel()
	entry := "PROCESS_TEST_TOKEN=" + newToken()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "kill -STOP $$")
	cmd.Env = []string{entry}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "it has stopped", func() bool { st, _ := readStat(cmd.Process.Pid); return st.state == 'T' })
	if n, err := KillByEnvironment(t.Context(), entry); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	_ = cmd.Wait()
}
