package process

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

// noCore is a limit of one byte. The kernel then does not even start a program
// that core dumps are piped to, as it does with a limit of zero.
const noCore = 1

// limits are the resource limits of each process of a program.
type limits []limit

type limit struct {
	name     string
	resource int
	max      uint64
}

// newLimits returns the limits in spec that the cgroup does not enforce.
//
// Without a cgroup, memory is what a process can write to and does not share. Its
// address space would be the wrong measure: runtimes reserve much more of it than
// they use.
func newLimits(spec Spec, group *cgroup.Cgroup) limits {
	memory := spec.MemoryLimit
	if group.LimitMemory(memory) {
		memory = 0
	}
	return slices.DeleteFunc(limits{
		{"memory", unix.RLIMIT_DATA, uint64(max(0, memory))},
		{"open files", unix.RLIMIT_NOFILE, spec.OpenFiles},
		{"file size", unix.RLIMIT_FSIZE, uint64(max(0, spec.FileSize))},
	}, func(l limit) bool { return l.max == 0 })
}

// set limits the first process, which already runs. Only the process itself could set
// limits before its first instruction.
func (l limits) set(pid int) error {
	// A process that changed its user may not be limited, and dumps no core either.
	_ = lower(pid, unix.RLIMIT_CORE, noCore)
	for _, one := range l {
		if err := lower(pid, one.resource, one.max); err != nil {
			return fmt.Errorf("limit %s: %w", one.name, os.NewSyscallError("prlimit", err))
		}
	}
	return nil
}

// setAll limits the processes that the program started before it was limited
// itself, until pids returns none that is new. It is called after 20 ms, when
// forks of that moment have ended. Until then these processes are not limited.
// That is accepted: these limits are for each process, so they prevent accidents
// only. A cgroup limits the memory and the number of processes of a hostile
// program, from the first instruction.
func (l limits) setAll(pids func() []int) {
	done := map[int]bool{}
	for more := len(l) > 0; more; {
		more = false
		for _, pid := range pids() {
			if !done[pid] {
				done[pid], more = true, true
				l.tighten(pid)
			}
		}
	}
}

// tighten leaves a limit alone that is low enough: the process may have limited
// itself.
func (l limits) tighten(pid int) {
	for _, one := range l {
		var now unix.Rlimit
		if unix.Prlimit(pid, one.resource, nil, &now) == nil && now.Max > one.max {
			_ = lower(pid, one.resource, one.max)
		}
	}
}

// lower sets both limits to max, or to the hard limit if that is lower.
func lower(pid, resource int, max uint64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &now); err != nil {
		return err
	}
	max = min(max, now.Max)
	return unix.Prlimit(pid, resource, &unix.Rlimit{Cur: max, Max: max}, nil)
}
