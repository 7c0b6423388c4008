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
	leader int    // first process of the program; 0 before its start
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
		return errors.New("the limit on file locks (RLIMIT_LOCKS) is too low for marks")
	}
	if err := errors.Join(setNumber(minMark), setNumber(ownLimit.Cur)); err != nil {
		return err
	}
	marksEnabled.Store(true)
	return nil
}

// setNumber sets the limit on file locks of this process.
func setNumber(number uint64) error {
	limit := unix.Rlimit{Cur: number, Max: ownLimit.Max}
	return os.NewSyscallError("prlimit", unix.Prlimit(0, unix.RLIMIT_LOCKS, &limit, nil))
}

// newMark returns a mark for a program that is not yet started, or none before
// Subreap.
func newMark() mark {
	if !marksEnabled.Load() {
		return mark{}
	}
	return mark{number: minMark + rand.Uint64N(min(maxMark, ownLimit.Max)-minMark)}
}

// forking is held for writing while this process bears a mark.
var forking sync.RWMutex

// fork starts the first process with forkExec. Meanwhile this process bears the
// mark, so that the program has it before its first instruction. No other program
// can start at the same time.
func (m *mark) fork(forkExec func() (int, error)) (pid int, err error) {
	running.add(m)
	if m.number == 0 {
		forking.RLock()
		defer forking.RUnlock()
	} else {
		forking.Lock()
		defer forking.Unlock()
		if err := setNumber(m.number); err != nil {
			return 0, err
		}
		defer func() { _ = setNumber(ownLimit.Cur) }()
	}
	if pid, err = forkExec(); err == nil {
		running.started(m, pid)
	}
	return pid, err
}

// release is called after the leader was reaped, or if it was not started.
func (m *mark) release() { running.remove(m) }

// on reports whether a process, which may be dead, bears the mark. A process in
// the session of this process does not: another part of this process may have
// started it while another goroutine was in fork.
func (m *mark) on(pid int) bool {
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
func (m *mark) pids() []int {
	return slices.DeleteFunc(allPids(), func(pid int) bool { return !m.on(pid) })
}

// kill kills the processes that bear the mark.
func (m *mark) kill() {
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

// running are the marks of the programs that run now.
var running = registry{marks: map[*mark]bool{}}

// registry guards the leaders and the numbers of its marks.
type registry struct {
	mu    sync.Mutex
	marks map[*mark]bool
}

func (r *registry) add(m *mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks[m] = true
}

func (r *registry) started(m *mark, leader int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.leader = leader
}

func (r *registry) renumber(m *mark, number uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.number = number
}

func (r *registry) remove(m *mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.marks, m)
}

// owns reports whether a process with this number and session belongs to a running
// program. That is unsure while a program is being started.
func (r *registry) owns(number uint64, session int) (owned, unsure bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.marks {
		owned = owned || m.number != 0 && m.number == number || m.leader == session
		unsure = unsure || m.leader == 0
	}
	return owned, unsure && !owned
}
