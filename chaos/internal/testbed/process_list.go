package testbed

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ProcessesOf returns the living processes of an executable.
func ProcessesOf(exe string) (pids []int) {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if path, err := os.Readlink(link); err != nil || path != exe {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Zombies counts the dead children of a process that it has not waited for.
func Zombies(pid int) (n int) {
	processes, _ := os.ReadDir("/proc")
	for _, p := range processes {
		if state, parent := processState(p.Name()); state == "Z" && parent == pid {
			n++
		}
	}
	return n
}

// DescendsFrom reports whether a process is a child of one of these, or a child of such a
// child, and so on.
func DescendsFrom(pid int, ancestors []int) bool {
	for range 32 {
		if _, pid = processState(strconv.Itoa(pid)); slices.Contains(ancestors, pid) {
			return true
		}
	}
	return false
}

// processState returns the state of a process and its parent; 0 where there is none.
func processState(pid string) (state string, parent int) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return "", 0
	}
	// The name in parentheses may contain anything.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
	words := strings.Fields(rest)
	if len(words) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(words[1]) // 0 where it is no number
	return words[0], parent
}
