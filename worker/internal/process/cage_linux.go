package process

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cage is a cgroup that one program at a time runs in. It is used again and
// again: a run then costs no folder, and its files stay open. A nil cage holds
// nothing.
type cage struct {
	place
	home             *home
	fd               int // of the folder
	killFD, eventsFD int
	cpuFD            int
	memoryFD         int // -1 without the controller
	memory, tasks    bool
	killed, frozen   bool  // at some time
	limit            int64 // memory.max; 0 for none
	outOfMemory      int64 // count at the start of the run
}

// takeCage is a cage for one run; nil where there are none.
func takeCage() *cage {
	h := adoption.home.Load()
	if h == nil {
		return nil
	}
	c := h.pop()
	if c == nil {
		c, _ = h.newCage()
	}
	if c != nil && c.memory {
		c.outOfMemory = c.oomKills()
	}
	return c
}

func (h *home) pop() *cage {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.spare) == 0 {
		return nil
	}
	c := h.spare[len(h.spare)-1]
	h.spare = h.spare[:len(h.spare)-1]
	return c
}

// give puts an empty cage back. One that was killed is of no more use: some
// kernels (6.18) compare how often the cgroup that a process is started in was
// killed with the cgroup that it is started from, and kill it where they differ.
// One that was frozen may still be so, and what is started in it would never
// come to be.
func (c *cage) give() {
	if c == nil {
		return
	}
	if c.killed || c.frozen {
		c.discard()
		return
	}
	c.home.mu.Lock()
	defer c.home.mu.Unlock()
	c.home.spare = append(c.home.spare, c)
}

// newCage makes a folder that is not there yet.
func (h *home) newCage() (*cage, error) {
	for range 64 {
		h.mu.Lock()
		p := h.child(strconv.Itoa(h.next))
		h.next++
		h.mu.Unlock()
		err := os.Mkdir(p.dir, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c := &cage{place: p, home: h, fd: -1, killFD: -1, eventsFD: -1, cpuFD: -1, memoryFD: -1}
		if err := c.open(); err != nil {
			c.discard()
			return nil, err
		}
		return c, nil
	}
	return nil, fs.ErrExist
}

// open opens the files of the cage. Memory that goes to swap would escape its
// limit, and half a tree is no use after the other half was killed.
func (c *cage) open() (err error) {
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

func (c *cage) close() {
	for _, fd := range [...]int{c.fd, c.killFD, c.eventsFD, c.cpuFD, c.memoryFD} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// discard is for a cage that is not to be used again. What is still in it stays
// until the next Adopt.
func (c *cage) discard() {
	c.close()
	_ = unix.Rmdir(c.dir)
}

// limitMemory reports whether the kernel now limits the tree as a whole.
func (c *cage) limitMemory(limit int64) bool {
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

// join makes a process start inside.
func (c *cage) join(attr *syscall.SysProcAttr) {
	if c != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, c.fd
	}
}

// kill kills all that is inside; what is being forked meanwhile dies too.
func (c *cage) kill() bool {
	if c == nil {
		return false
	}
	c.killed = true
	_, err := unix.Write(c.killFD, []byte("1"))
	return err == nil
}

// freeze has all that is inside stand still, or go on. It reports whether the
// kernel does that.
func (c *cage) freeze(still bool) bool {
	if c == nil {
		return false
	}
	c.frozen = true
	text := "0"
	if still {
		text = "1"
	}
	return c.write("cgroup.freeze", text) == nil
}

// end kills what is left inside and waits until it is gone. It returns how many
// are not, by then.
func (c *cage) end(by time.Time) int {
	if c == nil || !c.populated() {
		return 0
	}
	c.kill()
	wait := 20 * time.Microsecond
	for ; c.populated(); wait = min(2*wait, 5*time.Millisecond) {
		if time.Now().After(by) {
			return max(1, len(c.pids()))
		}
		time.Sleep(wait)
	}
	return 0
}

// pids are the processes inside.
func (c *cage) pids() []int { return numbers(c.words("cgroup.procs")) }

func (c *cage) populated() bool { return number64(c.eventsFD, "populated") != 0 }

// cpu is what has been used inside so far, in this run and those before.
func (c *cage) cpu() time.Duration {
	return time.Duration(number64(c.cpuFD, "usage_usec")) * time.Microsecond
}

func (c *cage) oomKills() int64 { return number64(c.memoryFD, "oom_kill") }

// ranOut reports whether the kernel killed something inside for its memory in
// this run.
func (c *cage) ranOut() bool { return c != nil && c.memory && c.oomKills() > c.outOfMemory }

// has tells whether the process, which may be dead, is or was inside; elsewhere
// says that it is in the cage of another run.
func (c *cage) has(pid int) (here, elsewhere bool) {
	if c == nil {
		return false, false
	}
	at := place{path: cgroupPath(procFile(pid, "cgroup"))}
	for ; len(at.path) > len(c.home.path); at = at.parent() {
		if at.path == c.path {
			return true, false
		}
		elsewhere = at.parent().path == c.home.path
	}
	return false, elsewhere
}

// number64 reads the number after key from a file of such lines; 0 where there
// is none.
func number64(fd int, key string) int64 {
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
