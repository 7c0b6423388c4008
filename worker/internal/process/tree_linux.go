package process

import (
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// clockTick is the unit of /proc/<pid>/stat, the same on all that Go runs on.
const clockTick = 10 * time.Millisecond

// tree finds what belongs to a program, as far as /proc tells: its leader and
// its group, what bears its mark, and the descendants of all these.
func tree(leader int, mark string) map[int]procStat {
	first, ok := readStat(leader)
	if !ok {
		return nil
	}
	others := map[int]procStat{}
	for _, pid := range allPids() {
		if st, ok := readStat(pid); ok && st.started >= first.started && pid != os.Getpid() && !leaders.has(pid) {
			others[pid] = st
		}
	}
	found := map[int]procStat{leader: first}
	for grown := true; grown; {
		grown = false
		for pid, st := range others {
			if _, ok := found[st.parent]; ok || st.group == leader || st.session == leader {
				found[pid], grown = st, true
				delete(others, pid)
			}
		}
		if !grown {
			grown = takeMarked(others, found, mark)
		}
	}
	return found
}

// takeMarked moves those that bear the mark, and reports whether there were any.
func takeMarked(from, to map[int]procStat, mark string) bool {
	n := len(to)
	maps.DeleteFunc(from, func(pid int, st procStat) bool {
		marked := !st.dead() && hasEnv(pid, mark)
		if marked {
			to[pid] = st
		}
		return marked
	})
	return len(to) > n
}

// treeCPU is what the tree has used so far.
func treeCPU(leader int, mark string) time.Duration {
	var ticks uint64
	for _, st := range tree(leader, mark) {
		ticks += st.cpu
	}
	return time.Duration(ticks) * clockTick
}

// halt stops the tree of a program until nothing new appears. It returns what
// it stopped: what had been stopped before is not to go on with the others.
func halt(leader int, mark string) map[int]uint64 {
	stopped := map[int]uint64{}
	begun := time.Now()
	for calm := 0; calm < huntCalm && time.Since(begun) < huntFor; calm++ {
		found := tree(leader, mark)
		maps.DeleteFunc(found, func(_ int, st procStat) bool { return st.state == 'T' })
		if stopNew(found, stopped) {
			calm = -1
		}
	}
	return stopped
}

// isSame reports whether a process is the one that was started then.
func isSame(pid int, started uint64) bool {
	st, ok := readStat(pid)
	return ok && st.started == started
}

const (
	// huntCalm is how many looks in a row that find nothing new end a hunt, and
	// huntFor how long it takes at most.
	huntCalm = 2
	huntFor  = 2 * time.Second
)

// hunt kills the tree of a program where no cgroup does it. All that is found is
// stopped first, until nothing new appears: what has been stopped forks no more,
// and its children can still be told by their parents. It returns what it
// killed, and when that was started: the dead bear no mark.
func hunt(leader int, mark string) map[int]uint64 {
	stopped := map[int]uint64{}
	begun := time.Now()
	for calm := 0; calm < huntCalm && time.Since(begun) < huntFor; calm++ {
		if stopNew(tree(leader, mark), stopped) {
			calm = -1
		}
	}
	for pid, started := range stopped {
		if st, ok := readStat(pid); ok && st.started == started {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	return stopped
}

// stopNew stops what was not yet, and reports whether there was any such. Where
// a number has passed to another process since the look, that one goes on.
func stopNew(found map[int]procStat, stopped map[int]uint64) (fresh bool) {
	for pid, st := range found {
		if started, ok := stopped[pid]; ok && started == st.started || st.dead() {
			continue
		}
		if unix.Kill(pid, unix.SIGSTOP) != nil {
			continue
		}
		if now, ok := readStat(pid); ok && now.started != st.started {
			_ = unix.Kill(pid, unix.SIGCONT)
			continue
		}
		stopped[pid], fresh = st.started, true
	}
	return fresh
}
