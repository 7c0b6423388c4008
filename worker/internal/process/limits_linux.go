package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// noCore is a limit of one byte: the kernel then does not even start a program
// that core dumps are piped to, as it does with a limit of zero.
const noCore = 1

// limit sets what the program may use. The program runs already, for some
// microseconds: a descendant that it could start in those keeps what it
// inherited. That is accepted, for these limits are against accidents, which
// take longer; the memory and the processes of a hostile tree are held by its
// cgroup, which it is in from the first instruction.
//
// Without a cgroup, memory is what a process may write to and has for itself.
// Its address space would be the wrong measure: runtimes reserve much more of
// it than they use.
func (g *group) limit() error {
	memory := g.spec.MemoryLimit
	if g.cage.limitMemory(memory) {
		memory = 0
	}
	_ = lower(g.pid, unix.RLIMIT_CORE, noCore) // one whose user changed may not be limited, and dumps no core
	for _, l := range [...]struct {
		name  string
		which int
		max   uint64
	}{
		{"memory", unix.RLIMIT_DATA, uint64(max(0, memory))},
		{"open files", unix.RLIMIT_NOFILE, g.spec.OpenFiles},
		{"file size", unix.RLIMIT_FSIZE, uint64(max(0, g.spec.FileSize))},
	} {
		if err := lower(g.pid, l.which, l.max); err != nil {
			return fmt.Errorf("limit %s: %w", l.name, os.NewSyscallError("prlimit", err))
		}
	}
	return nil
}

// lower sets both limits to limit, or to the hard one where that is lower. Zero
// is none.
func lower(pid, which int, limit uint64) error {
	if limit == 0 {
		return nil
	}
	var now unix.Rlimit
	if err := unix.Prlimit(pid, which, nil, &now); err != nil {
		return err
	}
	limit = min(limit, now.Max)
	return unix.Prlimit(pid, which, &unix.Rlimit{Cur: limit, Max: limit}, nil)
}
