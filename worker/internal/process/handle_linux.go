package process

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxThreads bounds the threads of one process that are asked for children.
const maxThreads = 64

// Processes lists the processes of the program, the first one first, and no more
// than limit; none where no program runs. Without a cgroup these are the
// descendants that can be reached from living ones, and the group. It reads a
// few files of /proc for each.
func (h *Handle) Processes(limit int) []Process {
	pids, still := h.pids(limit)
	if len(pids) == 0 {
		return nil
	}
	boot := bootTime()
	first, _ := readStat(pids[0])
	list := make([]Process, 0, len(pids))
	for _, pid := range pids {
		data := procFile(pid, "stat")
		st, ok := parseStat(data)
		// One that is older has got the number of one that has ended meanwhile.
		if !ok || st.dead() || st.started < first.started {
			continue
		}
		list = append(list, Process{
			PID: pid, Parent: st.parent, Name: nameIn(data), CPU: time.Duration(st.own) * clockTick,
			Memory: st.resident * int64(os.Getpagesize()), Started: boot.Add(time.Duration(st.started) * clockTick),
			Paused: still || st.state == 'T', Key: st.started,
		})
	}
	return list
}

// pids are those of the program now, the leader first.
func (h *Handle) pids(limit int) (pids []int, still bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.leader == 0 {
		return nil, false
	}
	pids = append(pids, h.leader)
	if h.cage == nil {
		return family(h.leader, limit), h.still
	}
	for _, pid := range h.cage.pids() {
		if pid != h.leader && len(pids) < limit {
			pids = append(pids, pid)
		}
	}
	return pids, h.still
}

// family are the leader, the orphans that are of its group or session, and the
// descendants of all these.
func family(leader, limit int) []int {
	found, seen := []int{leader}, map[int]bool{leader: true}
	add := func(pids []int) {
		for _, pid := range pids {
			if !seen[pid] && len(found) < limit {
				found, seen[pid] = append(found, pid), true
			}
		}
	}
	for _, pid := range adopted() {
		if st, ok := readStat(pid); ok && (st.group == leader || st.session == leader) {
			add([]int{pid})
		}
	}
	for i := 0; i < len(found); i++ {
		add(childrenOf(found[i]))
	}
	return found
}

// childrenOf are those that any thread of the process has started.
func childrenOf(pid int) (kids []int) {
	d, err := os.Open("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil {
		return nil
	}
	defer d.Close()
	tasks, _ := d.Readdirnames(maxThreads)
	for _, task := range tasks {
		kids = append(kids, numbers(strings.Fields(string(procFile(pid, "task/"+task+"/children"))))...)
	}
	return kids
}

// nameIn is the name in a /proc/<pid>/stat, which may hold parentheses itself.
func nameIn(stat []byte) string {
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 0 || to < from {
		return ""
	}
	return string(stat[from+1 : to])
}

// bootTime is when the machine was started, as its clock tells now.
func bootTime() time.Time {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(up.Nano()))
}
