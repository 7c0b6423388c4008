package process

import (
	"fmt"
	"os"
	"strings"
)

// maxTasks is how many processes and threads a program may have at once where
// the kernel counts them for us.
const maxTasks = 4096

// Isolation says what keeps the descendants of a program together, and which
// limits the kernel enforces how.
type Isolation struct {
	// Cgroup is the folder under which each program gets a cgroup of its own;
	// empty where they get none, for the reason in Why.
	Cgroup, Why string
	// Memory and Tasks say that a cgroup limits the memory and the processes of
	// the whole tree.
	Memory, Tasks bool
	// Subreaper says that descendants which leave their group come to us, and
	// Limits that processes can be limited one by one.
	Subreaper, Limits bool
}

// String is for people, in one line.
func (i Isolation) String() string {
	var s strings.Builder
	switch {
	case i.Cgroup != "":
		fmt.Fprintf(&s, "cgroup v2 under %s: the whole tree of a program is killed at once", i.Cgroup)
	case i.Subreaper:
		fmt.Fprintf(&s, "no cgroup v2 (%s): process group, subreaper and marks in the environment", i.Why)
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
	if i.Limits {
		s.WriteString("; open files, file size and core dumps by rlimit; no new privileges (no_new_privs)")
	}
	switch {
	case !i.Limits:
	case os.Geteuid() == 0:
		s.WriteString("; programs run as root and can read and change everything, the node's memory too")
	default:
		s.WriteString("; programs run as the node's user: the node's memory and environment are closed to them, its files are not")
	}
	return s.String()
}
