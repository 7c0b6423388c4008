package check

import (
	"fmt"
	"slices"
	"time"
)

// A run whose program has ended is still in flight while its result is being
// stored and its end recorded. Mostly that is done within mostly; a slow disk
// may need as long as longest.
const (
	usualFinish   = 100 * time.Millisecond
	longestFinish = time.Second
)

// jobsPerSlot is how many jobs a slot has at most in flight: one runs while the
// result of another is being stored.
const jobsPerSlot = 2

// inFlight reports whether a run was in flight on its node when that got into
// trouble: the run began before the trouble was over and had not ended for good
// before it.
func (r *run) inFlight(s outage, settling time.Duration) bool {
	return r.began < s.to && (r.ran == 0 || r.ran > s.from-int64(settling))
}

// explained reports whether a run may be followed by another one: it failed, or
// its node was killed or stopped while the run was in flight there, before the
// next began.
func (f *facts) explained(before, next *run) bool {
	if before.failed {
		return true
	}
	p, ok := f.processes[before.node]
	if !ok {
		return false
	}
	return slices.ContainsFunc(p.outages, func(s outage) bool {
		return s.from < next.began && s.to > before.began && before.inFlight(s, longestFinish)
	})
}

// extraRuns: no job is run again but those that were in flight when their node
// was killed or stopped. The bound is what the history can tell: for each kill,
// the runs that had begun in that life of the node, had not ended more than 0.1 s
// before and had shown no result, at most two for each of its slots.
func extraRuns(f *facts) []Figure {
	extra := 0
	for _, j := range f.order {
		for i := range max(len(j.runs)-1, 0) {
			if !j.runs[i].failed {
				extra++
			}
		}
	}
	most := f.mostInFlight()
	return []Figure{{
		Name: "extra runs", Wanted: fmt.Sprintf("at most %d, in flight at kills", most),
		Got: fmt.Sprint(extra), OK: extra <= most,
	}}
}

func (f *facts) mostInFlight() int {
	sum := 0
	for name, p := range f.processes {
		for _, s := range p.outages {
			sum += min(f.inFlightAt(name, p, s), jobsPerSlot*p.slots)
		}
	}
	return sum
}

func (f *facts) inFlightAt(name string, p *processLife, s outage) int {
	life := int64(0) // when it began
	for _, at := range p.starts {
		if at < s.from {
			life = at
		}
	}
	n := 0
	for _, j := range f.order {
		if j.success > 0 && j.success < s.from {
			continue
		}
		if slices.ContainsFunc(j.runs, func(r run) bool { return r.node == name && r.began >= life && r.inFlight(s, usualFinish) }) {
			n++
		}
	}
	return n
}

// unexplained: each single extra run has its reason.
func unexplainedRuns(f *facts) []Figure {
	n, example := 0, ""
	for _, j := range f.order {
		for i := 1; i < len(j.runs); i++ {
			before, next := &j.runs[i-1], &j.runs[i]
			if f.explained(before, next) {
				continue
			}
			n++
			example = fmt.Sprintf("%s (attempt %d on %s, then %d on %s)", j.id, before.attempt, before.node, next.attempt, next.node)
		}
	}
	return wantNone("extra runs without a reason", n, "", example)
}

// takeovers: a job began on a node that was then stopped, and ran on another
// one before the first was told to go on.
func takeovers(f *facts) []Figure {
	n := 0
	for _, j := range f.order {
		for i := 1; i < len(j.runs); i++ {
			if f.takenOver(&j.runs[i-1], &j.runs[i]) {
				n++
			}
		}
	}
	return wantAtLeast("attempts that a stopped node had to yield", n, f.target, "")
}

func (f *facts) takenOver(before, next *run) bool {
	p, ok := f.processes[before.node]
	return ok && before.node != next.node && slices.ContainsFunc(p.outages, func(s outage) bool {
		return s.stopped && before.began < s.from && s.from < next.began && next.began < s.to
	})
}

// finishedTakeovers says how many of the programs whose node was stopped came to their end
// meanwhile: each left a result that its node found when it went on.
func finishedTakeovers(f *facts) []Figure {
	n := 0
	for _, j := range f.order {
		for i := 1; i < len(j.runs); i++ {
			if before := &j.runs[i-1]; f.takenOver(before, &j.runs[i]) && before.ran > 0 {
				n++
			}
		}
	}
	return []Figure{{Name: "of them with a program that had ended meanwhile", Wanted: "some", Got: fmt.Sprint(n), OK: n > 0}}
}
