package process

import (
	"bytes"
	"os"
	"strconv"
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

// Signal sends a signal to the first process of the program if it has a handler for it, and
// reports whether it was sent. A process without one would be killed by many signals, also one
// that is about to set its handler.
func (h *Handle) Signal(sig unix.Signal) bool {
	h.mu.Lock() // so that set waits until the signal is sent, and the process is not reaped before
	defer h.mu.Unlock()
	if h.running == nil || h.running.mark.leader <= 0 {
		return false
	}
	sent, err := signalIf(h.running.mark.leader, sig, func(pid int) bool { return handles(procFile(pid, "status"), sig) })
	return sent && err == nil
}

// handles reports whether a process with a file status of /proc has a handler for a signal.
func handles(status []byte, sig unix.Signal) bool {
	_, rest, found := bytes.Cut(status, []byte("\nSigCgt:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	mask, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 64)
	return found && err == nil && mask>>(sig-1)&1 == 1
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
