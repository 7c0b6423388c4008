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
// by now, or is just starting, has none yet; limitRest finds that at the first
// look at a program that lives so long, when forks of this moment have come to
// their end. What such a process does in those 20 ms is not limited, and without
// a cgroup one whose parent is dead is not found. That is accepted: rlimits are for each process, and so
// against accidents only; memory and number of a hostile tree are limited by
// its cgroup, which it is in from the first instruction.
//
// Without a cgroup, memory is what a process may write to and has for itself.
// Its address space would be the wrong measure: runtimes reserve much more of
// it than they use.
func (g *group) limit() error {
	g.limits = g.rlimits()
	// One that changed its user may not be limited, and dumps no core either.
	_ = lower(g.pid, unix.RLIMIT_CORE, noCore)
	for _, l := range g.limits {
		if err := lower(g.pid, l.which, l.max); err != nil {
			return fmt.Errorf("limit %s: %w", l.name, os.NewSyscallError("prlimit", err))
		}
	}
	return nil
}

// limitRest limits what the program has started until there is nothing new.
func (g *group) limitRest() {
	if len(g.limits) == 0 {
		return
	}
	done := map[int]bool{g.pid: true}
	for grown := true; grown; {
		grown = false
		for _, pid := range g.descendants() {
			if !done[pid] {
				done[pid], grown = true, true
				g.limitOne(pid)
			}
		}
	}
}

// limitOne leaves alone what is as limited as it shall be: it may have limited
// itself further.
func (g *group) limitOne(pid int) {
	for _, l := range g.limits {
		var now unix.Rlimit
		if unix.Prlimit(pid, l.which, nil, &now) == nil && now.Max > l.max {
			_ = lower(pid, l.which, l.max)
		}
	}
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

// rlimits are those that are asked for and that no cgroup enforces.
func (g *group) rlimits() []rlimit {
	memory := g.spec.MemoryLimit
	if g.cage.limitMemory(memory) {
		memory = 0
	}
	return slices.DeleteFunc([]rlimit{
		{"memory", unix.RLIMIT_DATA, uint64(max(0, memory))},
		{"open files", unix.RLIMIT_NOFILE, g.spec.OpenFiles},
		{"file size", unix.RLIMIT_FSIZE, uint64(max(0, g.spec.FileSize))},
	}, func(l rlimit) bool { return l.max == 0 })
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
