package check

import (
	"fmt"
	"slices"
	"time"
)

// A run stays in flight after the end of its program while its result is stored
// and its end is recorded. That usually takes less than usualFinish, and on a
// slow disk up to longestFinish.
const (
	usualFinish   = 100 * time.Millisecond
	longestFinish = time.Second
)

// longestStart is how long after a node continues it may still start the program of an attempt
// that it claimed before it was stopped. After that it has asked the ledger whether the attempt
// is still the newest.
const longestStart = 5 * time.Second

// jobsPerSlot is how many jobs of a slot can be in flight: one runs while the
// result of another is stored.
const jobsPerSlot = 2

// inFlight reports whether a run was in flight when the outage of its node
// began: the run started before the end of the outage and had not finished
// before its start.
func (r *run) inFlight(s outage, finish time.Duration) bool {
	return r.began < s.to && (r.ran == 0 || r.ran > s.from-int64(finish))
}

// killed reports whether the process of a run was killed while the run was in flight.
func (r *run) killed(e Event, finish time.Duration) bool {
	return r.pid != 0 && r.pid == int(e.N) && r.began < e.T && (r.ran == 0 || r.ran > e.T-int64(finish))
}

// killedBefore reports whether the process of a run was killed before the next run began.
func (f *facts) killedBefore(before, next *run) bool {
	return slices.ContainsFunc(f.programKills, func(e Event) bool { return e.T < next.began && before.killed(e, longestFinish) })
}

// runsAtKills counts the kills of processes that had a run in flight.
func (f *facts) runsAtKills() (n int) {
	for _, e := range f.programKills {
		if slices.ContainsFunc(f.order, func(j *job) bool {
			return (j.success == 0 || j.success > e.T) && slices.ContainsFunc(j.runs, func(r run) bool { return r.killed(e, usualFinish) })
		}) {
			n++
		}
	}
	return n
}

// startedLate reports whether a node was stopped between the claim of an attempt and the start of
// its program, and another attempt began meanwhile. The node may start the program before it learns that.
func (f *facts) startedLate(before, next *run) bool {
	p := f.processes[next.node]
	return next.attempt < before.attempt && p != nil && slices.ContainsFunc(p.outages, func(s outage) bool {
		return s.stopped && s.from < before.began && before.began < s.to && s.to < next.began && next.began < s.to+int64(longestStart)
	})
}

// explained reports whether there is a reason for the next run: the run before failed, or was
// in flight in an outage of its node or of the database, or when its process was killed, or the
// next run started late.
func (f *facts) explained(before, next *run) bool {
	if before.failed || f.killedBefore(before, next) || f.startedLate(before, next) {
		return true
	}
	for _, name := range []string{before.node, Database} {
		if p, ok := f.processes[name]; ok && slices.ContainsFunc(p.outages, func(s outage) bool {
			return s.from < next.began && s.to > before.began && before.inFlight(s, longestFinish)
		}) {
			return true
		}
	}
	return false
}

// extraRuns demands that only jobs run again that were in flight in an outage
// of their node. It can bound their number only from above: it counts the runs
// of that life of the node that had not ended more than 0.1 s before and had
// shown no result, at most two for each slot; those of killed processes; and those that started late.
func extraRuns(f *facts) []Figure {
	extra, late := 0, 0
	for _, j := range f.order {
		for i := range max(len(j.runs)-1, 0) {
			if !j.runs[i].failed {
				extra++
			}
			if f.startedLate(&j.runs[i], &j.runs[i+1]) {
				late++
			}
		}
	}
	most := f.mostInFlight() + f.runsAtKills() + late
	return []Figure{{
		Name: "extra runs", Wanted: fmt.Sprintf("at most %d, in flight at kills", most),
		Got: fmt.Sprint(extra), OK: extra <= most,
	}}
}

func (f *facts) mostInFlight() int {
	sum := 0
	var crashes []outage // of the database, which concern all nodes
	if d := f.processes[Database]; d != nil {
		crashes = d.outages
	}
	for name, p := range f.processes {
		for _, s := range slices.Concat(p.outages, crashes) {
			sum += min(f.inFlightAt(name, p, s), jobsPerSlot*p.slots)
		}
	}
	return sum
}

func (f *facts) inFlightAt(name string, p *processLife, s outage) int {
	life := int64(0) // start of the life
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

// unexplainedRuns demands a reason for every extra run.
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

// runsAfterKills demands that a job runs again only if its run failed, or if its node was killed
// after the run began and before anybody was told of its success. Unlike unexplainedRuns it does
// not bound how long a busy node needs to record an end.
func runsAfterKills(f *facts) []Figure {
	n, example := 0, ""
	for _, j := range f.order {
		for i := 1; i < len(j.runs); i++ {
			before, next := &j.runs[i-1], &j.runs[i]
			p := f.processes[before.node]
			if before.failed || p != nil && slices.ContainsFunc(p.outages, func(s outage) bool {
				return !s.stopped && s.from < next.began && before.began < s.to && (j.success == 0 || s.from < j.success)
			}) {
				continue
			}
			n++
			example = fmt.Sprintf("%s (attempt %d on %s, then %d on %s)", j.id, before.attempt, before.node, next.attempt, next.node)
		}
	}
	return wantNone("extra runs of jobs whose node was not killed", n, "", example)
}

// takeovers demands enough jobs that started on a node which was then stopped,
// and that ran on another node before the first continued.
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

// finishedTakeovers demands that some of the programs of stopped nodes ended
// meanwhile: each left a result that its node found when it continued.
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
