package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// fault is one thing done to one call.
type fault struct {
	call      string // its name
	nth       int    // which one, counted by each thread from the program's exit
	injection string // as strace's inject wants to hear it
}

func (h fault) String() string { return fmt.Sprintf("%s:%s:when=%d", h.call, h.injection, h.nth) }

func (h fault) kills() bool { return h.injection == sigkill }

const sigkill = "signal=SIGKILL"

// noSpace are the calls that may say that there is no room left.
var noSpace = []string{"openat", "mkdirat", "write", "pwrite64", "fsync", "fdatasync", "linkat", "renameat", "copy_file_range", "sendfile", "fallocate"}

// neverFail are calls whose errors would show nothing: no local file system
// refuses to give up a lock, and SQLite, which does not count with it, leaves
// all others waiting for it until this process ends; of reads and epoll the Go
// runtime itself makes some, and dies where they fail.
var neverFail = []string{"fcntl", "read", "epoll_ctl"}

// missing lists the kinds of a call that were not hit by kills, or by errors.
func (h *coverage) missing(w callTrace, name string, kills bool) (list []string) {
	for _, kind := range w.kinds(kills) {
		if strings.HasPrefix(kind, name+" ") && !h.kinds[kills][kind] {
			list = append(list, kind)
		}
	}
	return list
}

// kinds lists what there is to hit, each kind once.
func (w callTrace) kinds(kills bool) []string {
	list := slices.DeleteFunc(slices.Clone(w.calls), func(kind string) bool {
		name, _, _ := strings.Cut(kind, " ")
		return !kills && slices.Contains(neverFail, name)
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// callTrace is how a healthy job goes from its program's exit to its end.
type callTrace struct {
	calls []string       // what they are, in order
	count map[string]int // how often each name occurs, in the thread where it occurs most
}

// harms is what there is to do to the calls of a way. Each is killed when it
// begins, so that all before it have been done and none after it.
func (w callTrace) harms() (list []fault) {
	var names []string
	for name := range w.count {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		hows := []string{sigkill}
		if !slices.Contains(neverFail, name) {
			hows = append(hows, "error=EIO")
		}
		if slices.Contains(noSpace, name) {
			hows = append(hows, "error=ENOSPC")
		}
		for _, how := range hows {
			for n := range w.count[name] {
				list = append(list, fault{call: name, nth: n + 1, injection: how})
			}
		}
	}
	return list
}

// coverage is what was really hit, and what came of it.
type coverage struct {
	mu         sync.Mutex
	kinds      map[bool]map[string]bool // by whether it was a kill: what was hit
	kills      int
	errors     int
	missed     int
	leftFiles  int
	damaged    int
	unfinished int
	partial    int           // succeeded without the program's file
	slowest    time.Duration // from the harm to the end of the job
}

func (h *coverage) add(one fault, hit []string, o outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(hit) == 0:
		h.missed++
	case one.kills():
		h.kills++
	default:
		h.errors++
	}
	for _, what := range hit {
		h.kinds[one.kills()][what] = true
	}
	if !o.ended {
		h.unfinished++
	}
	if o.ended && !o.complete {
		h.partial++
	}
	h.leftFiles += o.leftFiles
	h.damaged += o.damaged
	h.slowest = max(h.slowest, o.took)
}

// patience is how long a job may take after a harm; an error is followed by
// pauses before it is tried again.
const patience = 45 * time.Second

// outcome is what there was to see after a harm.
type outcome struct {
	ended              bool
	took               time.Duration
	complete           bool // its result names the file that its program left
	leftFiles, damaged int
}
