package node

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/text"
)

// These are the processes of a node: its threads, and the program of a slot with a child.
const (
	ownProcesses  = 32
	slotProcesses = 2
)

// limits are what the system allows this process and its children.
type limits struct {
	files     int
	processes int   // and threads
	memory    int64 // in bytes, of the cgroup
	slotFiles int   // that each slot needs
}

// readLimits returns the limits in force, for a node with a number of beanstalkd servers.
// What is not limited is as large as can be.
func readLimits(servers int) limits {
	l := limits{files: OpenFiles(), processes: math.MaxInt, memory: math.MaxInt64, slotFiles: SlotFiles(servers)}
	var processes unix.Rlimit
	// The kernel does not hold root to this one.
	if os.Geteuid() != 0 && unix.Getrlimit(unix.RLIMIT_NPROC, &processes) == nil {
		l.processes = int(min(processes.Cur, math.MaxInt))
	}
	own, _ := os.ReadFile("/proc/self/cgroup")
	for dir := range cgroupFolders("/sys/fs/cgroup", string(own)) {
		l.processes = int(min(int64(l.processes), readLimit(dir, "pids.max")))
		l.memory = min(l.memory, readLimit(dir, "memory.max"))
	}
	return l
}

// cgroupFolders yields the folder of the cgroup in a text like that of /proc/self/cgroup,
// and those above it up to root.
func cgroupFolders(root, own string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(own) {
			path, found := strings.CutPrefix(strings.TrimSpace(line), "0::/")
			if !found {
				continue
			}
			for dir := filepath.Join(root, path); strings.HasPrefix(dir, root) && yield(dir); dir = filepath.Dir(dir) {
			}
		}
	}
}

// readLimit returns the number in a file of a cgroup, or the largest one where there is
// none.
func readLimit(dir, name string) int64 {
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err != nil || n < 0 {
		return math.MaxInt64 // max
	}
	return n
}

// slots returns how many slots the limits hold, at most api.MaxSlots.
func (l limits) slots() int {
	most := min((l.files-OwnFiles-httpFiles)/l.slotFiles, (l.processes-ownProcesses)/slotProcesses)
	return min(max(most, 0), api.MaxSlots)
}

// check returns an error if the limits do not hold a node with some slots.
func (l limits) check(slots int) error {
	files, processes := OwnFiles+httpFiles+slots*l.slotFiles, ownProcesses+slots*slotProcesses
	switch {
	case files > l.files:
		return l.refusal(slots, "open files", files, l.files, l.slotFiles, "ulimit -n, or LimitNOFILE in the systemd unit")
	case processes > l.processes:
		return l.refusal(slots, "processes and threads", processes, l.processes, slotProcesses, "ulimit -u, or LimitNPROC or TasksMax in the systemd unit")
	}
	return nil
}

func (l limits) refusal(slots int, what string, need, have, each int, how string) error {
	other := ""
	if most := l.slots(); most > 0 {
		other = fmt.Sprintf(", or set RUNNERBEAN_SLOTS to at most %d", most)
	}
	return fmt.Errorf("a node with %s needs %d %s, %d for each slot, and the limit is %d: raise the limit (%s)%s", text.Count(slots, "slot", "slots"), need, what, each, have, how, other)
}

// CheckLimits returns an error if the limits of this process do not hold the slots of the
// settings: the jobs would fail one after the other. Else it returns a warning if its
// memory does not, or "".
func CheckLimits(set settings.Settings) (warning string, err error) {
	l := readLimits(len(set.Beanstalkd))
	if err := l.check(set.Slots); err != nil {
		return "", &settings.Error{Err: err}
	}
	return l.memoryWarning(set.Slots, int64(set.MaxMemory)), nil
}

// memoryWarning returns a warning if programs may use more memory than there is.
func (l limits) memoryWarning(slots int, each int64) string {
	if slots == 0 || each <= l.memory/int64(slots) {
		return ""
	}
	return fmt.Sprintf("%d programs of RUNNERBEAN_MAX_MEMORY=%s need more than the %s of this cgroup: the kernel may kill them, or the node", slots, bytesize.Size(each), bytesize.Size(l.memory))
}
