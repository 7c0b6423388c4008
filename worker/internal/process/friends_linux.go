package process

import (
	"slices"
	"sync"
	"time"
)

// friendFor is how long a child is remembered that is no program's, so that not
// every run has to look at it. It must be short beside the time after which
// process ids come again.
const friendFor = 2 * time.Second

// friends are children that other parts of this process started.
var friends = friendList{pids: map[int]struct{}{}}

type friendList struct {
	mu    sync.Mutex
	since time.Time
	pids  map[int]struct{}
}

// refresh forgets all of them once they are old.
func (f *friendList) refresh() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pids) > 0 && time.Since(f.since) > friendFor {
		clear(f.pids)
	}
}

func (f *friendList) add(pid int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.pids) == 0 {
		f.since = time.Now()
	}
	f.pids[pid] = struct{}{}
}

func (f *friendList) has(pid int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.pids[pid]
	return ok
}

// corpses are dead children that nobody has waited for yet, with the time when
// they were first seen. It is used under the lock of sweeping.
var corpses = corpseList{}

type corpseList map[int]time.Time

// keep forgets those that are not among pids.
func (c corpseList) keep(pids []int) {
	for pid := range c {
		if !slices.Contains(pids, pid) {
			delete(c, pid)
		}
	}
}

// lain is for how long the process has been seen dead.
func (c corpseList) lain(pid int) time.Duration {
	if _, ok := c[pid]; !ok {
		c[pid] = time.Now()
	}
	return time.Since(c[pid])
}
