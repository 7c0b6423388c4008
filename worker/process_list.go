package worker

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/worker/internal/process"
)

const (
	// maxProcesses bounds the processes of all programs that are listed.
	maxProcesses = 256
	// maxProcessName bounds the name that a process gives itself, in bytes.
	maxProcessName = 64
)

// processUsage has what the processes had used at the last look, so that the next one
// can tell what they use now.
type processUsage struct {
	mu   sync.Mutex
	at   time.Time
	used map[processKey]time.Duration
}

type processKey struct {
	pid int
	key uint64
}

// list returns the processes of attempts, at most maxProcesses.
func (u *processUsage) list(attempts []*attempt) []api.Process {
	slices.SortFunc(attempts, func(a, b *attempt) int { return strings.Compare(a.record.ID, b.record.ID) })
	now := time.Now()
	looked := make([][]process.Process, len(attempts))
	for i, a := range attempts {
		looked[i] = a.run.handle.Processes(maxProcesses)
	}
	shorten(looked, maxProcesses)
	shares := u.update(now, looked)
	list := []api.Process{}
	for i, a := range attempts {
		for _, p := range looked[i] {
			list = append(list, api.Process{
				Job: a.record.ID, Attempt: a.record.Attempt, PID: p.PID, Parent: p.Parent,
				Name: logtext.Clean(p.Name, maxProcessName), CPU: shares[processKey{p.PID, p.Key}], CPUSeconds: p.CPU.Seconds(),
				Memory: p.Memory, Started: p.Started.UTC().Truncate(time.Millisecond), Paused: p.Paused,
			})
		}
	}
	return list
}

// shorten cuts lists to limit entries together. A list may have as many entries as
// the others leave.
func shorten[T any](lists [][]T, limit int) {
	order := make([]int, len(lists))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return len(lists[a]) - len(lists[b]) })
	for n, i := range order {
		most := limit / (len(order) - n)
		lists[i] = lists[i][:min(len(lists[i]), most)]
		limit -= len(lists[i])
	}
}

// update returns the share of one processor that each process uses, and remembers what
// it has used so far.
func (u *processUsage) update(now time.Time, looked [][]process.Process) map[processKey]float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	shares, used := map[processKey]float64{}, map[processKey]time.Duration{}
	for _, list := range looked {
		for _, p := range list {
			key := processKey{p.PID, p.Key}
			used[key] = p.CPU
			since := u.at
			before, known := u.used[key]
			if !known {
				since = p.Started
			}
			shares[key] = processorShare(p.CPU-before, now.Sub(since))
		}
	}
	u.at, u.used = now, used
	return shares
}

// processorShare returns the share of one processor; 0 if the time is too short to tell.
func processorShare(cpu, d time.Duration) float64 {
	if d < 10*time.Millisecond || cpu <= 0 {
		return 0
	}
	return math.Round(cpu.Seconds()/d.Seconds()*1e4) / 1e4
}
