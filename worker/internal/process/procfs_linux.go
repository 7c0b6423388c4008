package process

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// procFile returns a file under /proc/<pid>, or nil.
func procFile(pid int, name string) []byte {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + name)
	if err != nil {
		return nil
	}
	return data
}

// procStat is /proc/<pid>/stat.
type procStat struct {
	name     string // any bytes
	state    byte
	parent   int
	started  uint64 // clock ticks after boot
	own, cpu uint64 // clock ticks, without and with children that were waited for
	resident int64  // pages
}

// readStat reports false for a process that is gone.
func readStat(pid int) (procStat, bool) { return parseStat(procFile(pid, "stat")) }

func parseStat(data []byte) (procStat, bool) {
	// The name stands in parentheses and may contain others.
	from, to := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if from < 0 || to < from {
		return procStat{}, false
	}
	f := strings.Fields(string(data[to+1:]))
	if len(f) < 22 {
		return procStat{}, false
	}
	s := procStat{name: string(data[from+1 : to]), state: f[0][0]}
	s.parent, _ = strconv.Atoi(f[1])
	s.started, _ = strconv.ParseUint(f[19], 10, 64)
	s.resident, _ = strconv.ParseInt(f[21], 10, 64)
	for i, ticks := range f[11:15] {
		n, _ := strconv.ParseUint(ticks, 10, 64)
		if s.cpu += n; i < 2 {
			s.own += n
		}
	}
	return s, true
}

// dead reports whether the process only waits to be reaped.
func (s procStat) dead() bool { return s.state == 'Z' || s.state == 'X' }

// peakMemory returns the most memory that the process has held, in bytes.
func peakMemory(pid int) int64 { return parsePeakMemory(procFile(pid, "status")) }

func parsePeakMemory(data []byte) int64 {
	_, rest, ok := bytes.Cut(data, []byte("\nVmHWM:"))
	if !ok {
		return 0
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(line)), " kB"), 10, 64)
	return kb << 10
}

// allPids returns every process that can be seen, in ascending order.
func allPids() []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	return numbers(names)
}

func numbers(words []string) []int {
	pids := make([]int, 0, len(words))
	for _, w := range words {
		if pid, err := strconv.Atoi(w); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// adopted returns the children of the main thread, to which the kernel gives
// orphans. If the kernel has no list of children, it returns all children.
//
// A child that is reaped while the list is read can hide the next one. The next
// reading then misses a child, so two equal readings are complete.
func adopted() []int {
	var before []int
	for {
		pids, ok := children()
		if !ok {
			return childrenInAll()
		}
		if len(pids) == 0 || slices.Equal(pids, before) {
			return pids
		}
		before = pids
	}
}

// childrenFile stays open because every run reads it.
var childrenFile = sync.OnceValue(func() int {
	fd, err := unix.Open("/proc/self/task/"+strconv.Itoa(os.Getpid())+"/children", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

func children() ([]int, bool) {
	var data []byte
	var buf [4096]byte
	for {
		n, err := unix.Pread(childrenFile(), buf[:], int64(len(data)))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, false
		case n == 0:
			return numbers(strings.Fields(string(data))), true
		default:
			data = append(data, buf[:n]...)
		}
	}
}

func childrenInAll() []int {
	return slices.DeleteFunc(allPids(), func(pid int) bool {
		s, ok := readStat(pid)
		return !ok || s.parent != os.Getpid()
	})
}

// signalIf sends a signal to a process if is holds for it, and reports whether it
// was sent. A pidfd makes sure that no other process gets the number between the
// check and the signal; kernels before 5.3 have none.
func signalIf(pid int, sig unix.Signal, is func(pid int) bool) (sent bool, err error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	switch {
	case errors.Is(err, unix.ESRCH) || !is(pid):
		return false, nil
	case err == nil:
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	default:
		err = unix.Kill(pid, sig)
	}
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	return err == nil, err
}
