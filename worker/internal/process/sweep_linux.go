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
// be ended in time. The children of an orphan that dies, by whatever hand, are
// orphans in the next round: a round is the last only where it finds nothing
// and those that are nobody's business have not changed since the one before.
func sweep(leader int, mark string) int {
	begun := time.Now()
	s := sweeper{leader: leader, mark: mark, known: map[int]uint64{}}
	var before []int
	for wait := 50 * time.Microsecond; subreaping.Load(); wait = min(2*wait, 10*time.Millisecond) {
		pids := strangers()
		if len(pids) == 0 {
			break // the usual case, in the first round
		}
		r := s.round()
		settled := r.found == 0 && r.unsure == 0 && slices.Equal(pids, before)
		if settled || time.Since(begun) > sweepFor {
			return r.left
		}
		before = pids
		time.Sleep(wait)
	}
	return 0
}

// sweeper hunts for the orphans of one program.
type sweeper struct {
	leader int
	mark   string
	known  map[int]uint64 // when those were started that were found to be its orphans
}

// round is what one round saw: orphans of the program, how many of those are
// not yet reaped, and processes that may be orphans of it.
type round struct{ found, left, unsure int }

// sweeping keeps two runs from taking the same orphan, whose number would be free
// after the first has reaped it.
var sweeping sync.Mutex

func (s *sweeper) round() (r round) {
	sweeping.Lock()
	defer sweeping.Unlock()
	nobodys := bornBefore(s.leader)
	for _, pid := range strangers() {
		st, ok := readStat(pid)
		if !ok || st.parent != os.Getpid() {
			continue
		}
		switch s.belongs(pid, st, nobodys) {
		case perhaps:
			r.unsure++
		case yes:
			r.found++
			s.known[pid] = st.started
			if !end(pid, st) {
				r.left++
			}
		}
	}
	return r
}

// end kills an orphan and its group, and reports whether it could be reaped.
// Children of ours keep their numbers until then, and in a foreign session a
// group can only be made of kin.
func end(pid int, s procStat) bool {
	if !s.dead() {
		_ = unix.Kill(-s.group, unix.SIGKILL)
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	gone, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return gone == pid
}

// strangers are the children of ours that others made: they are in sessions
// that are not ours, and lead no program. One that is just gone counts, for it
// may have left us its children.
func strangers() []int {
	own, err := unix.Getsid(0)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(adopted(), func(pid int) bool {
		session, err := unix.Getsid(pid)
		return leaders.has(pid) || err == nil && session == own
	})
}

type answer int

const (
	no answer = iota
	yes
	perhaps // cannot be told yet
)

// belongs tells whether an orphan comes from the program: it is of its session
// or bears its mark, or did so while it lived. One of no program's session that
// is dead, or older than every other program that runs, can be nobody else's
// either.
func (s *sweeper) belongs(pid int, st procStat, nobodys func(procStat) bool) answer {
	switch started, known := s.known[pid]; {
	case st.session == s.leader, known && started == st.started:
		return yes
	case leaders.has(st.session):
		return no
	case hasEnv(pid, s.mark), nobodys(st):
		return yes
	case unclear(pid, st):
		return perhaps
	}
	return no
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
