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

// closeInherited keeps descriptors from programs that this process was itself
// started with; what Go opens is never inherited.
var closeInherited = sync.OnceFunc(func() {
	for fd := 3; fd < 1024; fd++ {
		unix.CloseOnExec(fd)
	}
})

// exitFD is readable once the process has ended, and does not reap it.
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

// awaitExit returns when the process has ended; one that had ended before
// cannot be registered.
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

// waker makes a poll return; it is a pipe.
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

// meter has the figure of wait4 only.
type meter struct{ next time.Time }

func (m *meter) sample(int, time.Time) int { return 0 }

func (m *meter) look(int) {}

func (m *meter) result(usage unix.Rusage) int64 { return usage.Maxrss }

// Subreap is not to be had here: descendants that leave their group escape.
func Subreap() error { return fmt.Errorf("process: subreaper: %w", errors.ErrUnsupported) }

func sweep(int, string, *cage, map[int]uint64, time.Time) int { return 0 }

func hunt(int, string) map[int]uint64 { return nil }

// halt stops the group, and what had been stopped before is not told from it.
func halt(leader int, _ string) map[int]uint64 {
	_ = unix.Kill(-leader, unix.SIGSTOP)
	return map[int]uint64{-leader: 0}
}

func isSame(int, uint64) bool { return true }

// treeCPU is not to be had here. It always grows, so that no program counts as
// still.
func treeCPU(int, string) time.Duration { return time.Duration(time.Now().UnixNano()) }

// limit does nothing: no limit can be set on another process.
func (g *group) limit() error { return nil }

func (g *group) limitRest() {}

// cage is a cgroup; there are none here.
type cage struct{}

func takeCage() *cage                     { return nil }
func (c *cage) join(*syscall.SysProcAttr) {}
func leave(*syscall.SysProcAttr)          {}
func (c *cage) limitMemory(int64) bool    { return false }
func (c *cage) kill() bool                { return false }
func (c *cage) freeze(bool) bool          { return false }
func (c *cage) end(time.Time) int         { return 0 }
func (c *cage) cpu() time.Duration        { return 0 }
func (c *cage) ranOut() bool              { return false }
func (c *cage) give()                     {}
func (c *cage) discard()                  {}

// Processes cannot be listed here.
func (h *Handle) Processes(int) []Process { return nil }

// Adopt does nothing here.
func Adopt(string) error { return nil }

// Probe knows that there is only the process group here.
func Probe() Isolation { return Isolation{} }

// KillMarked is not to be had here.
func KillMarked(context.Context, string) (int, error) {
	return 0, fmt.Errorf("process: search by environment: %w", errors.ErrUnsupported)
}
