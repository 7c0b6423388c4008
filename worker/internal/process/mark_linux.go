package process

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// mark identifies the processes of one program. Its number is their soft limit on
// file locks (RLIMIT_LOCKS), which Linux has not enforced since 2.4.25. A process
// inherits it at fork, keeps it at exec, and has it until it is reaped. So a
// descendant bears the mark even if it has left its group and session and cleared
// its environment. It could set the limit back, but not by accident.
//
// Processes in the session of the leader bear the mark, too.
type mark struct {
	number uint64 // 0 for none
	leader int    // first process of the program
}

// Numbers are chosen at random from so many that two programs, of this process or
// another, never have the same.
const minMark, maxMark = 1 << 40, 1 << 62

var (
	// ownLimit is the limit on file locks of this process.
	ownLimit unix.Rlimit
	// marksEnabled is set by Subreap, after ownLimit.
	marksEnabled atomic.Bool
)

// enableMarks makes newMark return marks. It fails if they cannot be set.
func enableMarks() error {
	if err := unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &ownLimit); err != nil {
		return os.NewSyscallError("prlimit", err)
	}
	if ownLimit.Max < 2*minMark {
		return errors.New("the limit on file locks is too low for marks")
	}
	if err := errors.Join(setNumber(0, minMark), setNumber(0, ownLimit.Cur)); err != nil {
		return err
	}
	marksEnabled.Store(true)
	return nil
}

// setNumber sets the limit on file locks of a process; 0 is this process.
func setNumber(pid int, number uint64) error {
	limit := unix.Rlimit{Cur: number, Max: ownLimit.Max}
	return os.NewSyscallError("prlimit", unix.Prlimit(pid, unix.RLIMIT_LOCKS, &limit, nil))
}

// newMark returns a mark for a program that is not yet started, or none before
// Subreap.
func newMark() mark {
	if !marksEnabled.Load() {
		return mark{}
	}
	return mark{number: minMark + rand.Uint64N(min(maxMark, ownLimit.Max)-minMark)}
}

// forking is held while this process bears a mark.
var forking sync.Mutex

// fork starts the first process with forkExec. If exact, this process bears the
// mark meanwhile, so that the program has it before its first instruction. But
// then only one program can start at a time. Otherwise the program has its mark
// when fork returns.
func (m *mark) fork(exact bool, forkExec func() (int, error)) (pid int, err error) {
	running.set(m.number, 0)
	if exact && m.number != 0 {
		forking.Lock()
		defer forking.Unlock()
		if err := setNumber(0, m.number); err != nil {
			return 0, err
		}
		defer func() { _ = setNumber(0, ownLimit.Cur) }()
	}
	if pid, err = forkExec(); err != nil {
		return 0, err
	}
	if !exact && m.number != 0 {
		_ = setNumber(pid, m.number)
	}
	m.leader = pid
	running.set(m.number, pid)
	return pid, nil
}

// release is called after the leader was reaped, or if it was not started.
func (m mark) release() { running.remove(m.number) }

// on reports whether a process, which may be dead, bears the mark. A process in
// the session of this process does not: another part of this process may have
// started it while another goroutine was in fork.
func (m mark) on(pid int) bool {
	session, err := unix.Getsid(pid)
	switch {
	case err != nil:
		return false
	case session == m.leader:
		return true
	}
	return m.number != 0 && session != ownSession() && markNumber(pid) == m.number
}

// pids returns the processes that bear the mark.
func (m mark) pids() []int {
	return slices.DeleteFunc(allPids(), func(pid int) bool { return !m.on(pid) })
}

// kill kills the processes that bear the mark.
func (m mark) kill() {
	for _, pid := range m.pids() {
		_, _ = signalIf(pid, unix.SIGKILL, m.on)
	}
}

// markNumber returns the limit on file locks of a process, or 0 if it cannot be
// read.
func markNumber(pid int) uint64 {
	var limit unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_LOCKS, nil, &limit) != nil {
		return 0
	}
	return limit.Cur
}

func ownSession() int {
	session, _ := unix.Getsid(0)
	return session
}

// running are the programs that run now: their leaders by the number of their
// mark. The leader is 0 while it is being started.
var running = registry{leaders: map[uint64]int{}}

type registry struct {
	mu      sync.Mutex
	leaders map[uint64]int
}

func (r *registry) set(number uint64, leader int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaders[number] = leader
}

func (r *registry) remove(number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.leaders, number)
}

// mayOwn reports whether a process with this mark and session may belong to a
// running program.
func (r *registry) mayOwn(number uint64, session int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, leader := range r.leaders {
		if n == number || leader == session || leader == 0 {
			return true
		}
	}
	return false
}
