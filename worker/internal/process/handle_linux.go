package process

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Processes lists the processes of the program, the first one first, and no more
// than limit. The list is empty while no program runs. It reads a file of /proc
// for each process.
func (h *Handle) Processes(limit int) []Process {
	pids, paused := h.pids(limit)
	if len(pids) == 0 {
		return nil
	}
	boot := bootTime()
	first, _ := readStat(pids[0])
	list := make([]Process, 0, len(pids))
	for _, pid := range pids {
		st, ok := readStat(pid)
		// An older process has the number of one that has ended meanwhile.
		if !ok || st.dead() || st.started < first.started {
			continue
		}
		list = append(list, Process{
			PID: pid, Parent: st.parent, Name: st.name, CPU: time.Duration(st.own) * clockTick,
			Memory: st.resident * int64(os.Getpagesize()), Started: boot.Add(time.Duration(st.started) * clockTick),
			Paused: paused || st.state == 'T', Key: st.started,
		})
	}
	return list
}

// pids returns the processes of the program, the leader first.
func (h *Handle) pids(limit int) (pids []int, paused bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		return nil, false
	}
	leader := h.running.mark.leader
	pids = append(pids, leader)
	for _, pid := range h.running.pids() {
		if pid != leader && len(pids) < limit {
			pids = append(pids, pid)
		}
	}
	return pids, h.paused
}

// bootTime returns when the machine was started, by its present clock.
func bootTime() time.Time {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(up.Nano()))
}
