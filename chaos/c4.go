package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

func init() {
	register(scenario{
		name: "c4", title: "each system call between a program's exit and the end of its job is killed, or fails, once",
		run: eachCall,
	})
}

// harm is one thing done to one call.
type harm struct {
	call string // its name
	when int    // which one, counted by each thread from the program's exit
	how  string // as strace's inject wants to hear it
}

func (h harm) String() string { return fmt.Sprintf("%s:%s:when=%d", h.call, h.how, h.when) }
func (h harm) kills() bool    { return h.how == lethal }

const lethal = "signal=SIGKILL"

// noSpace are the calls that may say that there is no room left.
var noSpace = []string{"openat", "mkdirat", "write", "pwrite64", "fsync", "fdatasync", "linkat", "renameat", "copy_file_range", "sendfile", "fallocate"}

// neverFail are calls whose errors would show nothing: no local file system
// refuses to give up a lock, and SQLite, which does not count with it, leaves
// all others waiting for it until this process ends; of reads and epoll the Go
// runtime itself makes some, and dies where they fail.
var neverFail = []string{"fcntl", "read", "epoll_ctl"}

func eachCall(ctx context.Context, r *rig) error {
	folder, err := r.install("gated")
	if err != nil {
		return err
	}
	lanes := make([]*victim, 2)
	for i := range lanes {
		if lanes[i], err = r.victim(ctx, fmt.Sprintf("node%d", i+1), folder); err != nil {
			return err
		}
	}
	way, err := lanes[0].healthy(ctx)
	if err != nil {
		return err
	}
	r.say("a healthy job makes %d calls after its program: %v", len(way.calls), way.calls)
	list := way.harms()
	if r.short {
		chance := r.random("harms")
		chance.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:min(len(list), 40)]
	}
	hits := &hits{kinds: map[bool]map[string]bool{false: {}, true: {}}}
	if err := r.share(ctx, lanes, list, hits); err != nil {
		return err
	}
	if !r.short {
		if err := r.again(ctx, lanes, way, hits); err != nil {
			return err
		}
	}
	return hits.report(ctx, r, lanes, way, len(list))
}

// again goes for the kinds of calls that were not hit. Which number a call has in
// its thread is another one in every run, so that this is a matter of chance too.
func (r *rig) again(ctx context.Context, lanes []*victim, w way, hits *hits) error {
	for range 10 {
		for _, how := range []string{lethal, "error=EIO"} {
			var list []harm
			for name := range w.count {
				missed := hits.missing(w, name, how == lethal)
				if len(missed) == 0 {
					continue
				}
				seen, err := lanes[0].observe(ctx, name)
				if err != nil {
					return err
				}
				for kind, at := range seen {
					if slices.Contains(missed, kind) {
						list = append(list, harm{call: name, when: at, how: how})
					}
				}
			}
			slices.SortFunc(list, func(a, b harm) int { return strings.Compare(a.String(), b.String()) })
			if err := r.share(ctx, lanes, slices.Compact(list), hits); err != nil {
				return err
			}
		}
	}
	return nil
}

// missing lists the kinds of a call that were not hit by kills, or by errors.
func (h *hits) missing(w way, name string, kills bool) (list []string) {
	for _, kind := range w.kinds(kills) {
		if strings.HasPrefix(kind, name+" ") && !h.kinds[kills][kind] {
			list = append(list, kind)
		}
	}
	return list
}

// kinds lists what there is to hit, each kind once.
func (w way) kinds(kills bool) []string {
	list := slices.DeleteFunc(slices.Clone(w.calls), func(kind string) bool {
		name, _, _ := strings.Cut(kind, " ")
		return !kills && slices.Contains(neverFail, name)
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// share has the lanes take harms from the list until there are none.
func (r *rig) share(ctx context.Context, lanes []*victim, list []harm, hits *hits) error {
	next := make(chan harm)
	var wait sync.WaitGroup
	errs := make([]error, len(lanes))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, v := range lanes {
		wait.Go(func() {
			for h := range next {
				if errs[i] = v.suffer(ctx, h, hits); errs[i] != nil {
					cancel()
					return
				}
			}
		})
	}
	for _, h := range list {
		select {
		case next <- h:
		case <-ctx.Done():
		}
	}
	close(next)
	wait.Wait()
	return errors.Join(errs...)
}

// way is how a healthy job goes from its program's exit to its end.
type way struct {
	calls []string       // what they are, in order
	count map[string]int // how often each name occurs, in the thread where it occurs most
}

// harms is what there is to do to the calls of a way. Each is killed when it
// begins, so that all before it have been done and none after it.
func (w way) harms() (list []harm) {
	var names []string
	for name := range w.count {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		hows := []string{lethal}
		if !slices.Contains(neverFail, name) {
			hows = append(hows, "error=EIO")
		}
		if slices.Contains(noSpace, name) {
			hows = append(hows, "error=ENOSPC")
		}
		for _, how := range hows {
			for n := range w.count[name] {
				list = append(list, harm{call: name, when: n + 1, how: how})
			}
		}
	}
	return list
}

// hits is what was really hit, and what came of it.
type hits struct {
	mu         sync.Mutex
	kinds      map[bool]map[string]bool // by whether it was a kill: what was hit
	kills      int
	errors     int
	missed     int
	leftovers  int
	unsound    int
	unfinished int
	partial    int           // succeeded without the program's file
	slowest    time.Duration // from the harm to the end of the job
}

func (h *hits) add(one harm, hit []string, o outcome) {
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
	if o.ended && !o.whole {
		h.partial++
	}
	h.leftovers += o.leftovers
	h.unsound += o.unsound
	h.slowest = max(h.slowest, o.took)
}

func (h *hits) report(ctx context.Context, r *rig, lanes []*victim, w way, planned int) error {
	for _, v := range lanes {
		o, err := v.restarted(ctx)
		if err != nil {
			return err
		}
		h.leftovers += o.leftovers
		h.unsound += o.unsound
	}
	for _, kills := range []bool{true, false} {
		got, kinds := 0, w.kinds(kills)
		for _, kind := range kinds {
			if h.kinds[kills][kind] {
				got++
			} else if !r.short {
				r.say("never hit (kills: %t): %s", kills, kind)
			}
		}
		what := map[bool]string{true: "nodes killed", false: "errors injected"}[kills]
		r.measureLeast(what, float64(map[bool]int{true: h.kills, false: h.errors}[kills]), 1)
		if !r.short {
			r.measureLeast(fmt.Sprintf("%s: of the %d kinds of calls hit", what, len(kinds)), float64(got), float64(len(kinds)*7/10))
		}
	}
	r.say("of %d planned harms %d met no call", planned, h.missed)
	r.measure("leftovers in the store, its temporary folders and scratch", float64(h.leftovers), 0)
	r.measure("ledgers that SQLite finds damaged", float64(h.unsound), 0)
	r.measure("results without the file that the program left", float64(h.partial), 0)
	r.measure("jobs that did not succeed", float64(h.unfinished), 0)
	r.measure("slowest job after a harm, in seconds", round(h.slowest.Seconds()), patience.Seconds())
	return nil
}

// patience is how long a job may take after a harm; an error is followed by
// pauses before it is tried again.
const patience = 45 * time.Second

// job makes a job whose program waits at a gate of its own.
func (v *victim) job(chance *rand.Rand) (*job, string) {
	v.count++
	gate := fmt.Sprintf("%s/gate-%s-%d", v.rig.dir, v.node.name, v.count)
	t := gatedTask{task: task{History: v.rig.path, Seed: chance.Uint64() >> 11, Pad: 9000}, Gate: gate}
	j := v.rig.jobOf(chance, "gated", t, nil)
	j.answer = t.answer(j.id)
	return j, gate
}
