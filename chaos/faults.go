package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// fault is an error or a kill at one system call.
type fault struct {
	large     bool   // the job has a result that is too large for the ledger
	call      string // name of the system call
	nth       int    // number of the call in its thread since the program's exit
	injection string // in the syntax of strace's inject
}

func (h fault) String() string { return fmt.Sprintf("%s:%s:when=%d", h.call, h.injection, h.nth) }

func (h fault) kills() bool { return h.injection == sigkill }

const sigkill = "signal=SIGKILL"

// noSpace are the calls that may fail with ENOSPC.
var noSpace = []string{"openat", "mkdirat", "write", "pwrite64", "fsync", "fdatasync", "linkat", "renameat", "copy_file_range", "sendfile", "fallocate"}

// neverFail are calls that get no errors. No local file system refuses to
// release a lock, and SQLite does not handle that: it would block all others
// until this process ends. The Go runtime itself reads and uses epoll, and
// exits on errors.
var neverFail = []string{"fcntl", "read", "epoll_ctl"}

// missing returns the kinds of a call that had no kill, or no error.
func (h *coverage) missing(trace callTrace, name string, kills bool) (list []string) {
	for _, kind := range trace.kinds(kills) {
		if strings.HasPrefix(kind, name+" ") && !h.kinds[kills][kind] {
			list = append(list, kind)
		}
	}
	return list
}

// kinds returns the kinds of calls that can have a kill, or an error.
func (trace callTrace) kinds(kills bool) []string {
	list := slices.DeleteFunc(slices.Clone(trace.calls), func(kind string) bool {
		name, _, _ := strings.Cut(kind, " ")
		return !kills && slices.Contains(neverFail, name)
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// callTrace is the calls from a program's exit to the end of its job.
type callTrace struct {
	large bool           // as in fault
	calls []string       // descriptions, in order
	count map[string]int // by name: how often it occurs in the thread where it occurs most
}

// faults returns all faults for the calls. A kill happens when the call begins:
// the calls before it are complete, and this one has no effect.
func (trace callTrace) faults() (list []fault) {
	var names []string
	for name := range trace.count {
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
			for n := range trace.count[name] {
				list = append(list, fault{large: trace.large, call: name, nth: n + 1, injection: how})
			}
		}
	}
	return list
}

// coverage counts the faults that happened and their outcomes.
type coverage struct {
	mu         sync.Mutex
	kinds      map[bool]map[string]bool // by whether it was a kill: descriptions of calls
	kills      int
	errors     int
	missed     int
	leftFiles  int
	damaged    int
	unfinished int
	partial    int           // jobs that succeeded without the program's file
	slowest    time.Duration // from the fault to the end of the job
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

// patience bounds the time of a job after a fault. After an error there are
// delays before the next attempt.
const patience = 45 * time.Second

// outcome is what was observed after a fault.
type outcome struct {
	ended              bool
	took               time.Duration
	complete           bool // the result names the program's file
	leftFiles, damaged int
}
