package process

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/worker/internal/process/cgroup"
)

// Subreap makes this process adopt descendants that lose their parent, and marks
// programs, so that Run can end the descendants that left their group. Call it
// before the first Run, in a process that does not start children in sessions of
// their own by other means: Run would kill them.
func Subreap() error { return subreap() }

var subreap = sync.OnceValue(func() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	return enableMarks()
})

// endOrphans reaps the orphans of a program whose leader has ended and is not yet
// reaped. If kill is false, a cgroup has killed them. It returns how many are left
// at the time until.
//
// Every living descendant of the program is an orphan or descends from one. When
// an orphan dies, its children become orphans. So none is left when there are no
// orphans.
func endOrphans(m *mark, kill bool, until time.Time) (left int) {
	for wait := 50 * time.Microsecond; marksEnabled.Load(); wait = min(2*wait, 10*time.Millisecond) {
		found, left := reapOrphans(m, kill)
		if found == 0 || time.Now().After(until) {
			return left
		}
		if left > 0 {
			m.kill()
		}
		time.Sleep(wait)
	}
	return 0
}

// reaping is held so that no orphan is reaped, and its number freed, while
// another goroutine looks at it.
var reaping sync.Mutex

// reapOrphans reaps the orphans of the program that are dead. If kill is true, it
// kills the others, and returns how many were not dead yet. It returns the number
// of all that it found, with those that may be orphans of the program.
//
// It does the same with orphans that belong to no running program: they come from
// a program that has ended, or have changed their mark. It leaves children in the
// session of this process alone: its other parts have started them.
func reapOrphans(m *mark, kill bool) (found, left int) {
	reaping.Lock()
	defer reaping.Unlock()
	for _, pid := range adopted() {
		session, err := unix.Getsid(pid)
		if err != nil || pid == m.leader || session == ownSession() {
			continue
		}
		if !m.on(pid) {
			owned, unsure := running.owns(markNumber(pid), session)
			if unsure {
				found++
			}
			if owned || unsure {
				continue
			}
		}
		killed := kill && !cgroup.Has(pid) && unix.Kill(pid, unix.SIGKILL) == nil
		if gone, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil); gone == pid {
			found++
		} else if killed {
			found, left = found+1, left+1
		}
	}
	return found, left
}
