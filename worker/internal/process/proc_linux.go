package process

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// procFile reads a file under /proc of process pid; nil where there is none.
func procFile(pid int, name string) []byte {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + name)
	if err != nil {
		return nil
	}
	return data
}

// procStat is what /proc/<pid>/stat says of a process.
type procStat struct {
	state                  byte
	parent, group, session int
	started                uint64 // clock ticks after boot
	cpu, own               uint64 // clock ticks, with those of children that were waited for, and without
	resident               int64  // pages
	bare                   bool   // no environment in memory, or none that may be seen
}

// readStat fails for a process that is gone.
func readStat(pid int) (procStat, bool) { return parseStat(procFile(pid, "stat")) }

func parseStat(data []byte) (procStat, bool) {
	// The name before the last parenthesis may hold anything.
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return procStat{}, false
	}
	f := strings.Fields(string(data[i+1:]))
	if len(f) < 20 {
		return procStat{}, false
	}
	s := procStat{state: f[0][0]}
	s.parent, _ = strconv.Atoi(f[1])
	s.group, _ = strconv.Atoi(f[2])
	s.session, _ = strconv.Atoi(f[3])
	s.started, _ = strconv.ParseUint(f[19], 10, 64)
	for i, ticks := range f[11:15] {
		n, _ := strconv.ParseUint(ticks, 10, 64)
		if s.cpu += n; i < 2 {
			s.own += n
		}
	}
	if len(f) > 21 {
		s.resident, _ = strconv.ParseInt(f[21], 10, 64)
	}
	s.bare = len(f) > 48 && f[48] == "0" // where the environment ends
	return s, true
}

// dead reports whether the process only waits to be reaped.
func (s procStat) dead() bool { return s.state == 'Z' || s.state == 'X' }

// hasEnv reports whether the process was started with the entry "KEY=VALUE".
func hasEnv(pid int, entry string) bool {
	return findEnv(procFile(pid, "environ"), func(e []byte) bool { return string(e) == entry })
}

// hasMark reports whether any program of this process left its mark.
func hasMark(pid int) bool {
	own := []byte(MarkVar + "=" + markBase)
	return findEnv(procFile(pid, "environ"), func(e []byte) bool { return bytes.HasPrefix(e, own) })
}

func findEnv(data []byte, is func(entry []byte) bool) bool {
	for len(data) > 0 {
		var one []byte
		one, data, _ = bytes.Cut(data, []byte{0})
		if is(one) {
			return true
		}
	}
	return false
}

// highWater is the most memory the process has held so far, in bytes.
func highWater(pid int) int64 { return parseHighWater(procFile(pid, "status")) }

func parseHighWater(data []byte) int64 {
	_, rest, ok := bytes.Cut(data, []byte("\nVmHWM:"))
	if !ok {
		return 0
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(line)), " kB"), 10, 64)
	return kb << 10
}

// allPids lists every process that can be seen.
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

// adopted lists the children of the main thread: the kernel gives orphans to
// it. Where it does not keep such lists, all of /proc is searched.
//
// A child that is reaped while its list is read can hide the one after it. It is
// missing from the next reading then, so two that are equal are complete.
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

// childrenFile stays open: every run reads it.
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

// unclear reports a process that has no environment just now: it is in the
// middle of an exec or of its end. One whose environment may not be read is not
// unclear, it will never be known.
func unclear(pid int, s procStat) bool {
	if s.dead() || !s.bare {
		return false
	}
	_, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return !errors.Is(err, fs.ErrPermission)
}
