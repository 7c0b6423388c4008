package cgroup

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// adopted has the parent cgroup of this process, or nil.
var adopted struct {
	mu     sync.Mutex
	parent atomic.Pointer[parent]
}

// Adopt kills what dead nodes left running in cgroups, and makes Take return
// cgroups named after name where that is allowed. A second call only clears up
// again. Call it before the first program starts. The error is about processes
// that could not be killed; Probe tells why there are no cgroups.
func Adopt(name string) error {
	adopted.mu.Lock()
	defer adopted.mu.Unlock()
	if p := adopted.parent.Load(); p != nil {
		return clearDead(p.above())
	}
	plan, err := newPlan()
	if err != nil {
		return nil
	}
	left := clearDead(plan.base)
	if plan.apply(os.Getpid()) == nil {
		if p, err := openParent(plan.base, name); err == nil {
			adopted.parent.Store(p)
		}
	}
	return left
}

// Take returns a cgroup for one run, or nil where there are none. The caller
// ends the run with Release or Discard.
func Take() *Cgroup {
	p := adopted.parent.Load()
	if p == nil {
		return nil
	}
	c := p.free.take()
	if c == nil {
		c, _ = p.newCgroup()
	}
	if c != nil && c.memory {
		c.oomKillsBefore = c.oomKills()
	}
	return c
}

// Has reports whether a process, which may be dead, is in a cgroup of a program.
func Has(pid int) bool {
	p := adopted.parent.Load()
	if p == nil {
		return false
	}
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	return strings.HasPrefix(pathIn(data), p.path+"/")
}

// Probe returns the isolation in force, or what it would be after Adopt.
func Probe() Isolation {
	adopted.mu.Lock()
	defer adopted.mu.Unlock()
	if p := adopted.parent.Load(); p != nil {
		return p.isolation()
	}
	plan, err := newPlan()
	if err == nil {
		var p *parent
		if p, err = openParent(plan.base, "probe "+strconv.Itoa(os.Getpid())); err == nil {
			defer p.close()
			i := p.isolation()
			i.Memory = i.Memory || slices.Contains(plan.enable, "memory")
			i.Tasks = i.Tasks || slices.Contains(plan.enable, "pids")
			return i
		}
	}
	return Isolation{Why: err.Error(), Subreaper: true, Limits: true}
}

func (p *parent) isolation() Isolation {
	return Isolation{Cgroup: p.dir, Memory: p.memory, Tasks: p.tasks, Subreaper: true, Limits: true}
}
