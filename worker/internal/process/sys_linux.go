package process

import (
	"math"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// withoutPidfd lets a test take the way of kernels before 5.3.
var withoutPidfd atomic.Bool

// sysProcAttr asks for a session and so a group of its own, death with this
// process, and a descriptor for the new process where the kernel has such. A
// session of its own has no terminal: one that reads ours would be stopped.
func sysProcAttr(pidfd *int) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if !withoutPidfd.Load() {
		attr.PidFD = pidfd
	}
	return attr
}

// Protect closes the memory and the environment of this process, where secrets
// are, to other processes of the same user, which programs are. It dumps no core
// any more. Call it before the first program is started.
func Protect() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// noNewPrivileges keeps what this thread starts from getting more rights by
// set-user-ID files and the like. It cannot be undone.
func noNewPrivileges() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// leave makes a process start where this one is.
func leave(attr *syscall.SysProcAttr) { attr.UseCgroupFD = false }

func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}

// closeInherited keeps descriptors from programs that this process was itself
// started with; what Go opens is never inherited.
var closeInherited = sync.OnceFunc(func() {
	if unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
})

// exitFD is readable once the process has ended, and does not reap it.
func exitFD(pid, pidfd int) (int, error) {
	if pidfd >= 0 {
		return pidfd, nil
	}
	r, w, err := pipe()
	if err != nil {
		return -1, err
	}
	go func() {
		defer unix.Close(w)
		var info unix.Siginfo
		for unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}()
	return r, nil
}

// waker makes a poll return; it is an event descriptor.
type waker struct {
	r    int
	open bool
}

func (w *waker) init() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	w.r, w.open = fd, err == nil
	return err
}

func (w *waker) wake() { _, _ = unix.Write(w.r, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (w *waker) drain() {
	var b [8]byte
	_, _ = unix.Read(w.r, b[:])
}

func closeWaker(w waker) { _ = unix.Close(w.r) }

// meter finds the most memory that a program held. The figure of wait4 cannot
// be less than what this process holds, whose memory a program shares between
// fork and exec; below that, only looks at the living process tell.
type meter struct {
	next  time.Time
	step  time.Duration
	looks int
	seen  int64 // bytes
}

const (
	firstLook = 20 * time.Millisecond
	lastLook  = 2 * time.Second
)

// sample looks where it is time to, and returns the number of the look, or 0.
func (m *meter) sample(pid int, now time.Time) int {
	switch {
	case m.step == 0:
		m.step = firstLook
	case now.Before(m.next):
		return 0
	default:
		m.look(pid)
		m.looks++
		m.step = min(2*m.step, lastLook)
	}
	m.next = now.Add(m.step)
	return m.looks
}

func (m *meter) look(pid int) { m.seen = max(m.seen, highWater(pid)) }

func (m *meter) result(usage unix.Rusage) int64 {
	var self unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &self) == nil && usage.Maxrss > self.Maxrss {
		return usage.Maxrss << 10
	}
	return m.seen
}
