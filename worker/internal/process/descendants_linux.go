package process

import (
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

const (
	// clockTick is the unit of times in /proc/<pid>/stat on all platforms of Go.
	clockTick = 10 * time.Millisecond
	// freezeTimeout bounds the time that freeze takes.
	freezeTimeout = 2 * time.Second
)

// descendants are the processes of one program, the first one included. They are
// found by their cgroup, or without one by their mark.
type descendants struct {
	mark    mark
	cgroup  *cgroup.Cgroup // nil for none
	frozen  bool           // the cgroup is frozen
	stopped []int          // by freeze, without a cgroup
	escaped int
}

func newDescendants(group *cgroup.Cgroup) descendants {
	if group == nil {
		return descendants{mark: newMark()}
	}
	return descendants{cgroup: group}
}

// fork starts the first process with forkExec, which uses attr. If that fails in
// the cgroup, it tries without: the error does not tell whether fork or exec
// failed.
func (d *descendants) fork(memoryLimit int64, attr *syscall.SysProcAttr, forkExec func() (int, error)) (int, error) {
	d.cgroup.LimitMemory(memoryLimit)
	d.cgroup.Join(attr)
	pid, err := d.mark.fork(forkExec)
	if d.cgroup == nil || err == nil || err == syscall.ETXTBSY {
		return pid, err
	}
	attr.UseCgroupFD = false
	running.renumber(&d.mark, newMark().number)
	if pid, err = d.mark.fork(forkExec); err == nil {
		d.cgroup.Discard()
		d.cgroup = nil
	}
	return pid, err
}

func (d *descendants) pids() []int {
	if d.cgroup != nil {
		return d.cgroup.PIDs()
	}
	return d.mark.pids()
}

// cpu returns the CPU time used so far, from an arbitrary start.
func (d *descendants) cpu() time.Duration {
	if d.cgroup != nil {
		return d.cgroup.CPU()
	}
	var ticks uint64
	for _, pid := range d.mark.pids() {
		st, _ := readStat(pid)
		ticks += st.cpu
	}
	return time.Duration(ticks) * clockTick
}

// freeze stops all processes. Without a cgroup, it stops one after the other until
// it finds none that runs.
func (d *descendants) freeze() {
	if d.frozen = d.cgroup.Freeze(true); d.frozen {
		return
	}
	until := time.Now().Add(freezeTimeout)
	for more := true; more && time.Now().Before(until); {
		more = false
		for _, pid := range d.mark.pids() {
			// One that has stopped itself does not continue after the pause.
			if st, ok := readStat(pid); !ok || st.dead() || st.state == 'T' || slices.Contains(d.stopped, pid) {
				continue
			}
			if sent, _ := signalIf(pid, unix.SIGSTOP, d.mark.on); sent {
				d.stopped, more = append(d.stopped, pid), true
			}
		}
	}
}

// thaw continues what freeze has stopped.
func (d *descendants) thaw() {
	if d.frozen {
		d.cgroup.Freeze(false)
	}
	for _, pid := range d.stopped {
		_, _ = signalIf(pid, unix.SIGCONT, d.mark.on)
	}
	d.frozen, d.stopped = false, nil
}

// kill kills all processes that are found.
func (d *descendants) kill() {
	if !d.cgroup.Kill() {
		d.mark.kill()
	}
}

// end kills all processes and waits until they are dead and, but for the first
// one, reaped. It returns how many are not at the time until.
func (d *descendants) end(until time.Time) int {
	d.escaped = d.cgroup.End(until)
	d.escaped = max(d.escaped, endOrphans(&d.mark, d.cgroup == nil, until))
	return d.escaped
}

// outOfMemory reports whether the memory limit of the cgroup killed a process.
func (d *descendants) outOfMemory() bool { return d.cgroup.OutOfMemory() }

// release returns the cgroup. It is called after the first process was reaped.
func (d *descendants) release() {
	d.mark.release()
	if d.escaped > 0 && d.cgroup != nil {
		d.cgroup.Discard()
	} else {
		d.cgroup.Release()
	}
	d.cgroup = nil
}
