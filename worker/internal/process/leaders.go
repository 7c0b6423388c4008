package process

import (
	"crypto/rand"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// MarkVar is in the environment of every program, with a value of its own for
// each run, so that descendants can be told apart.
const MarkVar = "RUNNERBEAN_MARK"

var (
	markBase  = rand.Text()
	markCount atomic.Uint64
)

func newMark() string {
	return MarkVar + "=" + markBase + "-" + strconv.FormatUint(markCount.Add(1), 10)
}

// leaders are the first processes of the programs that run now.
var leaders = registry{pids: map[int]struct{}{}}

// registry knows every leader from its fork to its end. While a fork is under
// way there may be one whose number is not known yet.
type registry struct {
	mu      sync.Mutex
	pids    map[int]struct{}
	forks   uint64 // begun so far
	forking int    // under way
}

func (r *registry) beginFork() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forks++
	r.forking++
}

// endFork registers the new leader, or nothing where pid is 0.
func (r *registry) endFork(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forking--
	if pid > 0 {
		r.pids[pid] = struct{}{}
	}
}

func (r *registry) remove(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pids, pid)
}

func (r *registry) has(pid int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.pids[pid]
	return ok
}

// others lists the leaders but one. The answer is complete where quiet is true,
// and as long as a later call gives the same number of forks.
func (r *registry) others(than int) (pids []int, forks uint64, quiet bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pids = slices.DeleteFunc(slices.Collect(maps.Keys(r.pids)), func(p int) bool { return p == than })
	return pids, r.forks, r.forking == 0
}
