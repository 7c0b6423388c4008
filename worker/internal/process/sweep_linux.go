package process

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// sweepFor bounds how long Run hunts for descendants that left their group.
const sweepFor = time.Second

var subreaping atomic.Bool

// Subreap makes this process the parent of descendants that lose theirs, so
// that Run can end those that left their group. Call it once, before the first
// Run, in a process that starts no children in sessions of their own by other
// means: they would be taken for strays.
func Subreap() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	subreaping.Store(true)
	return nil
}

// sweep kills and reaps the orphans that a program left behind; its group has
// been killed and its leader is not yet reaped. It returns how many could not
// be ended in time. A killed orphan's own children are orphans in the next
// round.
func sweep(leader int, mark string) (left int) {
	if !subreaping.Load() {
		return 0
	}
	until := time.Now().Add(sweepFor)
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		if left = sweepOnce(leader, mark); left == 0 || time.Now().After(until) {
			return left
		}
		time.Sleep(wait)
	}
}

// sweeping keeps two runs from taking the same orphan, whose number would be free
// after the first has reaped it.
var sweeping sync.Mutex

// sweepOnce returns how many orphans of the program are not yet reaped.
func sweepOnce(leader int, mark string) (left int) {
	if !slices.ContainsFunc(adopted(), isStranger) {
		return 0 // the usual case
	}
	sweeping.Lock()
	defer sweeping.Unlock()
	nobodys := bornBefore(leader)
	for _, pid := range adopted() {
		s, ok := readStat(pid)
		if !ok || s.parent != os.Getpid() || !isStranger(pid) || !belongs(pid, s, leader, mark, nobodys) {
			continue
		}
		if !s.dead() {
			// Children of ours keep their numbers until we reap them, and in a
			// foreign session a group can only be made of the orphan's kin.
			_ = unix.Kill(-s.group, unix.SIGKILL)
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		if gone, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil); gone != pid {
			left++
		}
	}
	return left
}

// isStranger reports whether a child of ours was not started by us.
func isStranger(pid int) bool {
	if leaders.has(pid) {
		return false
	}
	own, err := unix.Getsid(0)
	session, err2 := unix.Getsid(pid)
	return err == nil && err2 == nil && session != own
}

// belongs reports whether an orphan comes from the program: it is of its session
// or bears its mark. One of no program's session that is dead, or older than
// every other program that runs, can be nobody else's either.
func belongs(pid int, s procStat, leader int, mark string, nobodys func(procStat) bool) bool {
	switch {
	case s.session == leader:
		return true
	case leaders.has(s.session):
		return false
	case hasEnv(pid, mark):
		return true
	}
	return nobodys(s)
}

// bornBefore returns a test for orphans that are dead or older than all programs
// but one. It answers no where a program was started meanwhile: the process at
// hand may be just that.
func bornBefore(leader int) func(procStat) bool {
	pids, forks, quiet := leaders.others(leader)
	oldest := uint64(math.MaxUint64)
	for _, pid := range pids {
		s, ok := readStat(pid)
		quiet = quiet && ok
		oldest = min(oldest, s.started)
	}
	return func(s procStat) bool {
		_, now, _ := leaders.others(leader)
		return quiet && now == forks && (s.dead() || s.started < oldest)
	}
}

// KillMarked kills every process that was started with the environment entry
// "KEY=VALUE", and returns how many it found. A node that starts again can so
// end what a killed one left running; pick an entry that only those have.
func KillMarked(ctx context.Context, entry string) (int, error) {
	n := 0
	var errs []error
	for _, pid := range allPids() {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		if pid == os.Getpid() || !hasEnv(pid, entry) {
			continue
		}
		killed, err := killIfMarked(pid, entry)
		if killed {
			n++
		}
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}

// killIfMarked holds the process by a descriptor, so that the number cannot
// pass to another between the look and the kill.
func killIfMarked(pid int, entry string) (bool, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false, ignoreGone(err)
	}
	defer unix.Close(fd)
	if !hasEnv(pid, entry) {
		return false, nil
	}
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	return err == nil, ignoreGone(err)
}

func ignoreGone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}
