package process

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// noCore is a limit of one byte: the kernel then does not even start a program
// that core dumps are piped to, as it does with a limit of zero.
const noCore = 1

// limit sets what the program may use. It runs already: nobody but the program
// itself could set its limits before its first instruction. What it has started
// by now has none yet, and so the limits go on to all its descendants until
// there are no new ones. Without a cgroup one whose parent is dead is not found,
// and keeps what it inherited; that takes intent, against which a limit for each
// process is not much use anyway.
//
// Without a cgroup, memory is what a process may write to and has for itself.
// Its address space would be the wrong measure: runtimes reserve much more of
// it than they use.
func (g *group) limit() error {
	limits := g.limits()
	if err := limits.set(g.pid); err != nil {
		return err
	}
	if len(limits) == 0 {
		return nil
	}
	done := map[int]bool{g.pid: true}
	for grown := true; grown; {
		grown = false
		for _, pid := range g.descendants() {
			if !done[pid] && limits.set(pid) == nil {
				done[pid], grown = true, true
			}
		}
	}
	return nil
}

// descendants are those of the program's processes that are easy to find.
func (g *group) descendants() []int {
	if g.cage != nil {
		return g.cage.pids()
	}
	var found []int
	for next := []int{g.pid}; len(next) > 0; next = next[1:] {
		task := strconv.Itoa(next[0])
		kids := numbers(strings.Fields(string(procFile(next[0], "task/"+task+"/children"))))
		found, next = append(found, kids...), append(next, kids...)
	}
	return found
}

type rlimit struct {
	name  string
	which int
	max   uint64
}

type rlimits []rlimit

func (g *group) limits() rlimits {
	memory := g.spec.MemoryLimit
	if g.cage.limitMemory(memory) {
		memory = 0
	}
	return slices.DeleteFunc(rlimits{
		{"memory", unix.RLIMIT_DATA, uint64(max(0, memory))},
		{"open files", unix.RLIMIT_NOFILE, g.spec.OpenFiles},
		{"file size", unix.RLIMIT_FSIZE, uint64(max(0, g.spec.FileSize))},
	}, func(l rlimit) bool { return l.max == 0 })
}

func (ls rlimits) set(pid int) error {
	// One that changed its user may not be limited, and dumps no core either.
	_ = lower(pid, unix.RLIMIT_CORE, noCore)
	for _, l := range ls {
		if err := lower(pid, l.which, l.max); err != nil {
			return fmt.Errorf("limit %s: %w", l.name, os.NewSyscallError("prlimit", err))
		}
	}
	return nil
}

// lower sets both limits to limit, or to the hard one where that is lower.
func lower(pid, which int, limit uint64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, which, nil, &now); err != nil {
		return err
	}
	limit = min(limit, now.Max)
	return unix.Prlimit(pid, which, &unix.Rlimit{Cur: limit, Max: limit}, nil)
}
