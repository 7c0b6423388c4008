package process

import (
	"maps"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// calmLooks is how many looks in a row that find nothing of the program end
	// the hunt for it, while children of this process that are not its own come
	// and go.
	calmLooks = 30
	// corpseFor is how long a dead child of unknown origin is left to somebody
	// else of this process to wait for.
	corpseFor = 5 * time.Second
)

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
// be ended before until. The children of an orphan that dies, by whatever hand,
// are orphans in the next round: a round is the last only where it finds nothing
// and those that are nobody's business have not changed since the one before,
// or where many rounds in a row have found nothing. What was killed is waited
// for: on a busy machine it may take seconds to die.
//
// known are processes of the program that were killed already.
func sweep(leader int, mark string, inside *cage, known map[int]uint64, until time.Time) int {
	s := sweeper{leader: leader, mark: mark, cage: inside, known: map[int]uint64{}}
	maps.Copy(s.known, known)
	var before []int
	hunted, calm := false, 0
	for wait := 50 * time.Microsecond; subreaping.Load(); wait = min(2*wait, 10*time.Millisecond) {
		pids := strangers()
		if len(pids) == 0 {
			break // the usual case, in the first round
		}
		r := s.round()
		if r.found > 0 && inside == nil && !hunted {
			maps.Copy(s.known, hunt(leader, mark))
			hunted = true
		}
		if calm++; r.found > 0 || r.unsure > 0 {
			calm = 0
		}
		if calm > 0 && slices.Equal(pids, before) || calm == calmLooks || time.Now().After(until) {
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
	cage   *cage
	known  map[int]uint64 // when those were started that were found to be its orphans
	now    situation
}

// situation is what a round goes by. It holds only as long as no program is
// started: a process at hand may be just that, and not be known as such yet.
type situation struct {
	session int    // of this process
	oldest  uint64 // start of the oldest other program
	forks   uint64 // programs started so far
	quiet   bool   // none was being started
}

func (s *sweeper) look() {
	session, err := unix.Getsid(0)
	others, forks, quiet := leaders.others(s.leader)
	s.now = situation{session: session, oldest: math.MaxUint64, forks: forks, quiet: quiet && err == nil}
	for _, pid := range others {
		st, ok := readStat(pid)
		s.now.quiet = s.now.quiet && ok
		s.now.oldest = min(s.now.oldest, st.started)
	}
}

// certain reports whether the situation still holds.
func (s *sweeper) certain() bool {
	_, forks, _ := leaders.others(s.leader)
	return s.now.quiet && forks == s.now.forks
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
	s.look()
	pids := strangers()
	corpses.keep(pids)
	for _, pid := range pids {
		st, ok := readStat(pid)
		if !ok || st.parent != os.Getpid() {
			continue
		}
		switch s.belongs(pid, st) {
		case perhaps:
			r.unsure++
		case yes:
			r.found++
			s.known[pid] = st.started
			if !s.end(pid, st) {
				r.left++
			}
		}
	}
	return r
}

// end kills an orphan, and its group where that is of a foreign session and so
// can only be made of kin. It reports whether the orphan could be reaped;
// children of ours keep their numbers until then.
func (s *sweeper) end(pid int, st procStat) bool {
	if !st.dead() {
		if st.session != s.now.session {
			_ = unix.Kill(-st.group, unix.SIGKILL)
		}
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	gone, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return gone == pid
}

type answer int

const (
	no answer = iota
	yes
	perhaps // cannot be told yet
)

// belongs tells whether a child that we did not start as a program comes from
// the sweeper's program: it is of its group or session or bears its mark, or did
// so while it lived.
func (s *sweeper) belongs(pid int, st procStat) answer {
	started, known := s.known[pid]
	here, elsewhere := s.cage.has(pid)
	switch {
	case here, st.group == s.leader, st.session == s.leader, known && started == st.started, hasEnv(pid, s.mark):
		return yes
	case elsewhere, leaders.has(st.group), leaders.has(st.session):
		return no
	case unclear(pid, st):
		return perhaps
	case st.session == s.now.session:
		return s.belongsHere(pid, st)
	case s.certain() && (st.dead() || st.started < s.now.oldest):
		return yes // dead, or older than all others that run: it can be nobody else's
	}
	return no
}

// belongsHere is for children in our own session, of no program's group. Other
// parts of this process may have started them.
func (s *sweeper) belongsHere(pid int, st procStat) answer {
	switch {
	case st.dead():
		if corpses.lain(pid) > corpseFor {
			return yes
		}
	case s.certain() && !hasMark(pid):
		friends.add(pid)
	}
	return no
}

// strangers are the children of ours that lead no program and that we do not
// know to be friends.
func strangers() []int {
	friends.refresh()
	return slices.DeleteFunc(adopted(), func(pid int) bool { return leaders.has(pid) || friends.has(pid) })
}
