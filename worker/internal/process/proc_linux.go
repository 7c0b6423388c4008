package process

import (
	"bytes"
	"os"
	"strconv"
	"strings"
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
}

// readStat fails for a process that is gone.
func readStat(pid int) (procStat, bool) {
	data := procFile(pid, "stat")
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
	return s, true
}

// dead reports whether the process only waits to be reaped.
func (s procStat) dead() bool { return s.state == 'Z' || s.state == 'X' }

// hasEnv reports whether the process was started with the entry "KEY=VALUE".
func hasEnv(pid int, entry string) bool {
	data := procFile(pid, "environ")
	for len(data) > 0 {
		var one []byte
		one, data, _ = bytes.Cut(data, []byte{0})
		if string(one) == entry {
			return true
		}
	}
	return false
}

// highWater is the most memory the process has held so far, in bytes.
func highWater(pid int) int64 {
	_, rest, ok := bytes.Cut(procFile(pid, "status"), []byte("\nVmHWM:"))
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
func adopted() []int {
	self := os.Getpid()
	data, err := os.ReadFile("/proc/self/task/" + strconv.Itoa(self) + "/children")
	if err == nil {
		return numbers(strings.Fields(string(data)))
	}
	var pids []int
	for _, pid := range allPids() {
		if s, ok := readStat(pid); ok && s.parent == self {
			pids = append(pids, pid)
		}
	}
	return pids
}
