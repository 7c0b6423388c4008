package cgroup

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Cgroup is a cgroup that one program at a time runs in. It is reused, so that a
// run costs no new folder and its files stay open. All methods but PIDs and CPU
// accept a nil Cgroup, which contains no process.
type Cgroup struct {
	location
	free             *freeList
	fd               int // of the folder
	killFD, eventsFD int
	cpuFD            int
	memoryFD         int // -1 without the memory controller
	memory, tasks    bool
	killed, frozen   bool  // at some time
	limit            int64 // memory.max in bytes; 0 for none
	oomKillsBefore   int64 // count at the start of the run
}

// Release returns an empty cgroup for reuse. A nil Cgroup is ignored.
//
// A cgroup that was killed cannot be reused: some kernels (6.18) compare how
// often the new cgroup of a process and that of its parent were killed, and kill
// the process if the counts differ. A cgroup that was frozen may still be frozen,
// and then a program started in it would hang.
func (c *Cgroup) Release() {
	switch {
	case c == nil:
	case c.killed || c.frozen:
		c.Discard()
	default:
		c.free.put(c)
	}
}

// freeList has the cgroups that are ready for reuse.
type freeList struct {
	mu   sync.Mutex
	list []*Cgroup
}

func (f *freeList) put(c *Cgroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, c)
}

// take returns nil if there is none.
func (f *freeList) take() *Cgroup {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.list)
	if n == 0 {
		return nil
	}
	c := f.list[n-1]
	f.list = f.list[:n-1]
	return c
}

// open opens the files of the cgroup. It turns swap off, since swapped memory
// would not count, and lets the kernel kill all processes together when memory
// runs out.
func (c *Cgroup) open() (err error) {
	open := func(name string, flags int) int {
		fd, e := unix.Open(c.file(name), flags|unix.O_CLOEXEC, 0)
		if e != nil {
			err = errors.Join(err, &os.PathError{Op: "open", Path: c.file(name), Err: e})
			return -1
		}
		return fd
	}
	c.fd = open(".", unix.O_RDONLY|unix.O_DIRECTORY)
	c.killFD = open("cgroup.kill", unix.O_WRONLY)
	c.eventsFD = open("cgroup.events", unix.O_RDONLY)
	c.cpuFD = open("cpu.stat", unix.O_RDONLY)
	c.tasks = c.write("pids.max", strconv.Itoa(maxTasks)) == nil
	if c.write("memory.max", "max") == nil {
		c.memory = true
		c.memoryFD = open("memory.events", unix.O_RDONLY)
		_ = c.write("memory.swap.max", "0")
		_ = c.write("memory.oom.group", "1")
	}
	return err
}

func (c *Cgroup) close() {
	for _, fd := range [...]int{c.fd, c.killFD, c.eventsFD, c.cpuFD, c.memoryFD} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// Discard closes the cgroup and removes it if it is empty. Processes left in it
// are killed by the next Adopt.
func (c *Cgroup) Discard() {
	c.close()
	_ = unix.Rmdir(c.dir)
}

// LimitMemory limits the memory of the whole cgroup to limit bytes; 0 is no
// limit. It reports whether the kernel enforces that.
func (c *Cgroup) LimitMemory(limit int64) bool {
	if c == nil || !c.memory {
		return false
	}
	if c.limit == limit {
		return true
	}
	text := "max"
	if limit > 0 {
		text = strconv.FormatInt(limit, 10)
	}
	if c.write("memory.max", text) != nil {
		return false
	}
	c.limit = limit
	return true
}

// Join makes a new process start in the cgroup.
func (c *Cgroup) Join(attr *syscall.SysProcAttr) {
	if c != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, c.fd
	}
}

// Kill kills all processes in the cgroup, also those that are being forked. It
// reports whether the kernel did that.
func (c *Cgroup) Kill() bool {
	if c == nil {
		return false
	}
	c.killed = true
	_, err := unix.Write(c.killFD, []byte("1"))
	return err == nil
}

// Freeze stops all processes in the cgroup, or lets them continue. It reports
// whether the kernel does that.
func (c *Cgroup) Freeze(on bool) bool {
	if c == nil {
		return false
	}
	c.frozen = true
	text := "0"
	if on {
		text = "1"
	}
	return c.write("cgroup.freeze", text) == nil
}

// End kills all processes in the cgroup and waits for their end. It returns the
// number of processes that still run at the time by.
func (c *Cgroup) End(by time.Time) int {
	if c == nil || !c.populated() {
		return 0
	}
	c.Kill()
	wait := 20 * time.Microsecond
	for ; c.populated(); wait = min(2*wait, 5*time.Millisecond) {
		if time.Now().After(by) {
			return max(1, len(c.PIDs()))
		}
		time.Sleep(wait)
	}
	return 0
}

// PIDs returns the processes in the cgroup.
func (c *Cgroup) PIDs() (pids []int) {
	for _, word := range c.words("cgroup.procs") {
		if pid, err := strconv.Atoi(word); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (c *Cgroup) populated() bool { return readNumber(c.eventsFD, "populated") != 0 }

// CPU returns the CPU time used in the cgroup so far, earlier runs included.
func (c *Cgroup) CPU() time.Duration {
	return time.Duration(readNumber(c.cpuFD, "usage_usec")) * time.Microsecond
}

func (c *Cgroup) oomKills() int64 { return readNumber(c.memoryFD, "oom_kill") }

// OutOfMemory reports whether the kernel killed a process of this run because
// of the memory limit.
func (c *Cgroup) OutOfMemory() bool {
	return c != nil && c.memory && c.oomKills() > c.oomKillsBefore
}

// readNumber returns the number after key in a file of "key number" lines, or 0.
func readNumber(fd int, key string) int64 {
	var buf [2048]byte
	n, err := unix.Pread(fd, buf[:], 0)
	if err != nil {
		return 0
	}
	return parseNumber(buf[:n], key)
}

func parseNumber(data []byte, key string) int64 {
	for line := range bytes.Lines(data) {
		if k, v, ok := bytes.Cut(line, []byte(" ")); ok && string(k) == key {
			n, _ := strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64)
			return n
		}
	}
	return 0
}
