// Package cgroup runs each program in a cgroup of version 2 of its own, where
// the kernel allows that.
package cgroup

import (
	"fmt"
	"os"
	"strings"
)

// maxTasks is how many processes and threads a program may have at once where
// its cgroup has the pids controller.
const maxTasks = 4096

// Isolation says how the descendants of a program are kept together, and how its
// limits are enforced.
type Isolation struct {
	// Cgroup is the folder under which each program gets a cgroup of its own. It
	// is empty if there are no cgroups. Why then holds the reason.
	Cgroup, Why string
	// Memory and Tasks say that a cgroup limits the memory and the number of
	// processes of a whole program.
	Memory, Tasks bool
	// Subreaper says that this process adopts descendants that leave their
	// process group. Limits says that each process can be limited by rlimits.
	Subreaper, Limits bool
}

// String describes the isolation in one line for people.
func (i Isolation) String() string {
	var s strings.Builder
	switch {
	case i.Cgroup != "":
		fmt.Fprintf(&s, "cgroup v2 under %s: the whole tree of a program is killed at once", i.Cgroup)
	case i.Subreaper:
		fmt.Fprintf(&s, "no cgroup v2 (%s): process group, subreaper and a mark on each process", i.Why)
	default:
		s.WriteString("process group only")
	}
	switch {
	case i.Memory:
		s.WriteString("; memory of the tree by memory.max")
	case i.Limits:
		s.WriteString("; memory of each process by RLIMIT_DATA")
	default:
		s.WriteString("; memory not limited")
	}
	if i.Tasks {
		fmt.Fprintf(&s, "; at most %d processes and threads by pids.max", maxTasks)
	} else {
		s.WriteString("; number of processes not limited")
	}
	if !i.Limits {
		return s.String()
	}
	s.WriteString("; open files, file size and core dumps by rlimit; no new privileges (no_new_privs)")
	if os.Geteuid() == 0 {
		s.WriteString("; programs run as root and can read and change everything, the node's memory too")
	} else {
		s.WriteString("; programs run as the node's user: the node's memory and environment are closed to them, its files are not")
	}
	return s.String()
}
