//go:build unix && !linux

package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

func sysProcAttr(*int) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Protect does nothing here.
func Protect() error { return nil }

func noNewPrivileges() error { return nil }

// pipe holds the fork lock, so that no child started meanwhile inherits an end.
func pipe() (r, w int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		return -1, -1, err
	}
	unix.CloseOnExec(p[0])
	unix.CloseOnExec(p[1])
	return p[0], p[1], nil
}

// closeInherited keeps programs from inheriting the descriptors that this process
// was started with. Descriptors opened by Go are never inherited.
var closeInherited = sync.OnceFunc(func() {
	for fd := 3; fd < 1024; fd++ {
		unix.CloseOnExec(fd)
	}
})

// exitFD returns a descriptor that is readable once the process has ended. It
// does not reap the process.
func exitFD(pid, _ int) (int, error) {
	kq, err := unix.Kqueue()
	if err != nil {
		return -1, err
	}
	r, w, err := pipe()
	if err != nil {
		_ = unix.Close(kq)
		return -1, err
	}
	go func() {
		defer unix.Close(w)
		defer unix.Close(kq)
		awaitExit(kq, pid)
	}()
	return r, nil
}

// awaitExit returns when the process has ended. Registration fails for a process
// that ended before.
func awaitExit(kq, pid int) {
	var change, got [1]unix.Kevent_t
	unix.SetKevent(&change[0], pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	change[0].Fflags = unix.NOTE_EXIT
	for {
		if _, err := unix.Kevent(kq, change[:], got[:], nil); err != unix.EINTR {
			return
		}
	}
}

// waker ends a poll from another goroutine. It is a pipe.
type waker struct {
	r, w int
	open bool
}

func (w *waker) init() (err error) {
	if w.r, w.w, err = pipe(); err != nil {
		return err
	}
	w.open = true
	return errors.Join(unix.SetNonblock(w.r, true), unix.SetNonblock(w.w, true))
}

func (w *waker) wake() { _, _ = unix.Write(w.w, []byte{1}) }

func (w *waker) drain() {
	var b [64]byte
	_, _ = unix.Read(w.r, b[:])
}

func closeWaker(w waker) {
	_ = unix.Close(w.r)
	_ = unix.Close(w.w)
}

// memoryMeter has the figure of wait4 only.
type memoryMeter struct {
	next     time.Time
	step     time.Duration
	most     int64
	resident *taskUsage
}

func (m *memoryMeter) sample(int, time.Time) int { return 0 }

func (m *memoryMeter) look(int) {}

func (m *memoryMeter) result(usage unix.Rusage) int64 { return usage.Maxrss }

// limits cannot be set on another process.
type limits struct{}

func newLimits(Spec, *cgroup.Cgroup) limits { return limits{} }

func (limits) set(int) error { return nil }

func (limits) setAll(func() []int) {}

// Subreap fails: descendants that leave their group escape.
func Subreap() error { return fmt.Errorf("process: subreaper: %w", errors.ErrUnsupported) }

// descendants are the process group of the program: others cannot be found.
type descendants struct {
	cgroup *cgroup.Cgroup // nil
	leader int
}

func newDescendants(*cgroup.Cgroup) descendants { return descendants{} }

func (d *descendants) fork(_ int64, _ *syscall.SysProcAttr, forkExec func() (int, error)) (pid int, err error) {
	d.leader, err = forkExec()
	return d.leader, err
}

func (d *descendants) pids() []int { return nil }

// cpu always grows, so that no program counts as idle.
func (d *descendants) cpu() time.Duration { return time.Duration(time.Now().UnixNano()) }

func (d *descendants) freeze() { _ = unix.Kill(-d.leader, unix.SIGSTOP) }

func (d *descendants) thaw() { _ = unix.Kill(-d.leader, unix.SIGCONT) }

func (d *descendants) kill() {}

func (d *descendants) end(time.Time) int { return 0 }

func (d *descendants) outOfMemory() bool { return false }

func (d *descendants) release() {}

// Processes returns nil: the processes cannot be listed.
func (h *Handle) Processes(int) []Process { return nil }

// Signal sends nothing here: whether the program would handle it is not known.
func (h *Handle) Signal(unix.Signal) bool { return false }

// KillByEnvironment fails.
func KillByEnvironment(context.Context, string) (int, error) {
	return 0, fmt.Errorf("process: search by environment: %w", errors.ErrUnsupported)
}

// taskUsage of a program with tasks is not known.
type taskUsage struct{ tasks int }

func newTaskUsage(int) taskUsage { return taskUsage{} }

func (u *taskUsage) cpu() time.Duration { return 0 }

func (u *taskUsage) most(sampled int64, _ time.Duration) int64 { return sampled }

func (u *taskUsage) close() {}

// unreadBytes is not known.
func unreadBytes(int) int { return -1 }
