package process

import (
	"math"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sysProcAttr asks for a new session, which has a process group and no terminal,
// for SIGKILL when this process ends, and for a pidfd, which stays -1 on kernels
// that have none.
func sysProcAttr(pidfd *int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: pidfd}
}

// Protect closes the memory and the environment of this process, which hold
// secrets, to other processes of the same user, such as programs. This process
// then dumps no core. Call it before the first program starts.
func Protect() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// noNewPrivileges makes this thread and what it starts unable to gain privileges,
// for example by set-user-ID files. It cannot be undone.
func noNewPrivileges() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

func pipe() (r, w int, err error) {
	var p [2]int
	err = unix.Pipe2(p[:], unix.O_CLOEXEC)
	return p[0], p[1], err
}

// closeInherited keeps programs from inheriting the descriptors that this process
// was started with. Descriptors opened by Go are never inherited.
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

// exitFD returns a descriptor that is readable once the process has ended. It
// does not reap the process.
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

// waker ends a poll from another goroutine. It is an event descriptor.
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

// memoryMeter finds the most memory that a program held. The figure of wait4 is
// at least what this process holds, whose memory a program shares between fork
// and exec. Smaller figures come from samples of the living process.
type memoryMeter struct {
	next    time.Time
	step    time.Duration
	samples int
	most    int64 // bytes
	// resident is set for a program with tasks. Then the memory that it holds now counts,
	// and not what it has held before.
	resident *taskUsage
}

const (
	firstSample = 20 * time.Millisecond
	lastSample  = 2 * time.Second
)

// sample looks at the process if it is time to. It returns the number of the
// sample, or 0 for none.
func (m *memoryMeter) sample(pid int, now time.Time) int {
	switch {
	case m.step == 0:
		m.step = firstSample
	case now.Before(m.next):
		return 0
	default:
		m.look(pid)
		m.samples++
		m.step = min(2*m.step, lastSample)
	}
	m.next = now.Add(m.step)
	return m.samples
}

func (m *memoryMeter) look(pid int) {
	if m.resident != nil {
		m.most = max(m.most, m.resident.look())
		return
	}
	m.most = max(m.most, peakMemory(pid))
}

func (m *memoryMeter) result(usage unix.Rusage) int64 {
	var self unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &self) == nil && usage.Maxrss > self.Maxrss {
		return usage.Maxrss << 10
	}
	return m.most
}
