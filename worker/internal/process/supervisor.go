//go:build unix

package process

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

// killTimeout bounds the wait for killed processes. On a busy machine they may
// take seconds to die.
const killTimeout = 30 * time.Second

// supervisor runs one program.
type supervisor struct {
	spec        Spec
	pid         int
	pipes       pipes
	descendants descendants
	exit        Exit

	begun    time.Time
	deadline time.Time // zero for none
	killAt   time.Time // end of the grace period; zero while the program is not being stopped
	pausedAt time.Time // zero while the program is not paused
	killed   bool
	limits   limits
	memory   memoryMeter
	stall    stallDetector
}

// start starts the program in the cgroup, which may be nil. It releases the
// cgroup if it fails.
func start(spec Spec, group *cgroup.Cgroup) (*supervisor, error) {
	closeInherited()
	s := &supervisor{spec: spec, begun: time.Now(), descendants: newDescendants(group)}
	p, err := newPipes(spec)
	if err != nil {
		s.descendants.release()
		return nil, err
	}
	s.pipes = p
	if spec.Timeout > 0 {
		s.deadline = s.begun.Add(spec.Timeout)
	}
	s.stall.start(spec.Stall, s.begun)
	if err := s.launch(); err != nil {
		s.release()
		return nil, err
	}
	if spec.OnStart != nil {
		spec.OnStart(s.pid)
	}
	return s, nil
}

// launch opens the pipes, forks, and closes the program's ends of the pipes.
func (s *supervisor) launch() error {
	child, err := s.pipes.open(s.spec.StdinFile)
	defer func() {
		for i, fd := range child {
			if fd >= 0 && (i > 0 || s.spec.StdinFile == nil) {
				_ = unix.Close(fd)
			}
		}
	}()
	if err == nil {
		err = s.fork([]uintptr{uintptr(child[0]), uintptr(child[1]), uintptr(child[2]), uintptr(child[3])})
	}
	runtime.KeepAlive(s.spec.StdinFile)
	return err
}

// fork starts the program. It retries while the file of the program is still
// being written.
func (s *supervisor) fork(files []uintptr) error {
	if err := noNewPrivileges(); err != nil {
		return err
	}
	env := s.environment()
	argv := append([]string{s.spec.Name}, s.spec.Args...)
	for try := 0; ; try++ {
		pidfd := -1
		attr := &syscall.ProcAttr{Dir: s.spec.Dir, Env: env, Files: files, Sys: sysProcAttr(&pidfd)}
		pid, err := s.descendants.fork(s.spec.MemoryLimit, attr.Sys, func() (int, error) {
			return syscall.ForkExec(s.spec.Path, argv, attr)
		})
		if err == nil {
			return s.register(pid, pidfd)
		}
		if err != syscall.ETXTBSY || try == 10 {
			return &os.PathError{Op: "exec", Path: s.spec.Path, Err: err}
		}
		time.Sleep(time.Duration(try+1) * time.Millisecond)
	}
}

// environment returns the caller's environment with EventsVar. A program may use
// the first or the last of two equal names, so an entry of the caller's is removed.
func (s *supervisor) environment() []string {
	env := make([]string, 0, len(s.spec.Env)+1)
	for _, e := range s.spec.Env {
		if !strings.HasPrefix(e, EventsVar+"=") {
			env = append(env, e)
		}
	}
	return append(env, EventsVar+"=/dev/fd/3")
}

// register limits the new process, and kills it if that fails.
func (s *supervisor) register(pid, pidfd int) error {
	s.pid = pid
	fd, err := exitFD(pid, pidfd)
	if err == nil {
		s.pipes.fds[fdExit].Fd = int32(fd)
		s.limits = newLimits(s.spec, s.descendants.cgroup)
		err = s.limits.set(pid)
	}
	if err != nil {
		s.kill()
		s.descendants.end(time.Now().Add(killTimeout))
		reap(pid)
	}
	return err
}

// signal sends sig to the process group, and to the leader in case it has changed
// its group. It must not be called after the leader was reaped, when another
// process may have its number.
func (s *supervisor) signal(sig syscall.Signal) {
	_ = unix.Kill(-s.pid, sig)
	_ = unix.Kill(s.pid, sig)
}

// kill kills the program and the descendants that are found.
func (s *supervisor) kill() {
	s.killed = true
	s.descendants.kill()
	s.signal(unix.SIGKILL)
}

// release closes and returns what the run has used.
func (s *supervisor) release() {
	s.pipes.release()
	s.descendants.release()
}

// reap waits for the end of the leader, which has ended or was killed.
func reap(pid int) (status unix.WaitStatus, usage unix.Rusage) {
	for {
		if _, err := unix.Wait4(pid, &status, 0, &usage); err != unix.EINTR {
			return status, usage
		}
	}
}
