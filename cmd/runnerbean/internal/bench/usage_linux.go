package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of processor times in /proc, on every Linux.
const clockTick = 10 * time.Millisecond

// childTimes returns the processor time of the children of this process except one, also of
// those that still run.
func childTimes(except int) time.Duration {
	var ended syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &ended)
	sum := time.Duration(ended.Utime.Nano() + ended.Stime.Nano())
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil && pid != except {
				sum += statTimes(pid, 4)
			}
		}
	}
	return sum
}

// processTime returns the processor time of a process of one thread.
func processTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 0 {
		if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			return time.Duration(n)
		}
	}
	return statTimes(pid, 2)
}

// statTimes sums the first n of the times of a process in /proc: user, system, and those of
// its ended children.
func statTimes(pid, n int) (sum time.Duration) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	behind := bytes.LastIndexByte(text, ')') // the name before it may have spaces
	if err != nil || behind < 0 {
		return 0
	}
	fields := strings.Fields(string(text[behind+1:]))
	for i := 11; i < 11+n && i < len(fields); i++ {
		ticks, _ := strconv.ParseInt(fields[i], 10, 64)
		sum += time.Duration(ticks) * clockTick
	}
	return sum
}

// machineTimes returns the idle time of all processors, and all of their time.
func machineTimes() (idle, all time.Duration) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line) {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil || i > 8 { // guests are in the user time, too
			continue
		}
		all += time.Duration(ticks) * clockTick
		if i == 4 || i == 5 { // idle, and waiting for a disk
			idle += time.Duration(ticks) * clockTick
		}
	}
	return idle, all
}

// addTransfers adds what a process has read and written: system calls and bytes.
func addTransfers(counts map[string]float64, pid, who string) {
	text, err := os.ReadFile("/proc/" + pid + "/io")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if what, known := transfers[name]; known {
			counts[who+what], _ = strconv.ParseFloat(value, 64)
		}
	}
}

var transfers = map[string]string{
	"syscr": " read calls", "syscw": " write calls", "rchar": " bytes read", "wchar": " bytes written", "write_bytes": " bytes to disk",
}
