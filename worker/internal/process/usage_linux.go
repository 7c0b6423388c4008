package process

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// rssEvery is how often the memory of a program with short tasks is looked at. Tasks
	// of at least longTask are looked at each.
	rssEvery = time.Second
	longTask = 20 * time.Millisecond
)

// taskUsage says what the first process of a program uses.
type taskUsage struct {
	pid   int
	tasks int
	statm int // descriptor of /proc/<pid>/statm, or -1
	rss   int64
	at    time.Time // of rss
}

func newTaskUsage(pid int) taskUsage {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/statm", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	return taskUsage{pid: pid, statm: fd}
}

// cpu returns the CPU time of the process, without that of its children. It works until
// the process is reaped. The clock costs less than a file of /proc or of the cgroup.
func (u *taskUsage) cpu() time.Duration {
	const sched = 2 // CPUCLOCK_SCHED: user and system time of all threads, in nanoseconds
	var t unix.Timespec
	if unix.ClockGettime(int32(^u.pid)<<3|sched, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// look returns the resident memory of the process, in bytes.
func (u *taskUsage) look() int64 {
	var buf [128]byte
	n, err := unix.Pread(u.statm, buf[:], 0)
	if err != nil {
		return u.rss
	}
	if f := bytes.Fields(buf[:n]); len(f) > 1 {
		pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
		u.rss, u.at = pages*int64(os.Getpagesize()), time.Now()
	}
	return u.rss
}

// most returns the most resident memory that was seen during a task: the samples of a
// long one, and what the process has at its end, or had within a second.
func (u *taskUsage) most(sampled int64, wall time.Duration) int64 {
	if wall >= longTask || time.Since(u.at) >= rssEvery {
		u.look()
	}
	return max(sampled, u.rss)
}

func (u *taskUsage) close() {
	if u.statm >= 0 {
		_ = unix.Close(u.statm)
		u.statm = -1
	}
}

// unreadBytes returns how many bytes of a pipe are not read, or -1.
func unreadBytes(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return -1
	}
	return n
}
