package check

import (
	"fmt"
	"slices"
)

// kept is what is known about deletions, backups and restores.
type kept struct {
	clock    clock
	backups  map[string]Event
	restores int
	prunes   []prune

	deleted                            int
	early, back, half, absent, refused tally
	parts                              int
	promises                           int // final jobs in backups, at each restore
}

// follow is how long a node may have the result of a job in its memory that another node
// has deleted, in nanoseconds. It takes less than a second unless the machine is busy.
const follow = int64(10e9)

// prune is an order, which is void from the restore of an older backup on.
type prune struct {
	Event
	until int64
}

// tally counts faults.
type tally struct {
	n       int
	example string
}

func (t *tally) add(format string, args ...any) {
	t.n++
	t.example = fmt.Sprintf(format, args...)
}

// life is what is known about a job since the last restore.
type life struct {
	keep     int64  // nanoseconds; 0: for ever
	meant    string // state; "" for succeeded
	accepted int64  // time of the first answer that shows it; 0: none
	first    int64  // by the moved clock: nobody had the job before; 0: nobody has it
	// The end was not before endAfter, by the moved clock, and not after endBefore;
	// 0: not known.
	endAfter, endBefore int64
	ended               int64 // time of the first answer that shows it; 0: none
	state, sum          string
	removed             int64    // time of the order to delete it; 0: none
	gone                int64    // time of the first answer that says so; 0: none
	goneAt              []string // the nodes that have said so
	// url is the time of the last look at the job where its URL was there, but not all of
	// its parts; 0: none.
	url int64
	// cached is the time of the first look at the job where a node answered with its result
	// although all other parts said that it was deleted; 0: none. stale says that a result
	// came later than a node may have it in its memory.
	cached  int64
	stale   bool
	promise int64 // time of a restore that has to show the job; 0: none, or shown
}

// follow notes what an event says about the life of a job.
func (k *kept) follow(id string, l *life, e Event) {
	switch e.What {
	case Meant:
		l.keep, l.meant = int64(e.N*1e9), e.State
	case Remove:
		if l.removed == 0 {
			l.removed = e.T
		}
	case Post:
		if e.Status == 400 || e.Status == 422 {
			k.refused.add("%s (status %d)", id, e.Status)
		}
		if e.Status == 201 || e.Status == 200 {
			l.accept(e)
			if l.gone > 0 && e.T > l.gone {
				k.back.add("%s (then accepted again by %s)", id, e.Who)
			}
		}
		if e.Status == 409 && l.gone == 0 { // it is known, with a document from another way
			l.accept(e)
		}
		l.submit(k.clock.earliest(e.T)) // the answer may be lost, and the job accepted
		if e.Status == 201 {
			l.endAfter = max(l.endAfter, k.clock.earliest(e.T))
		}
	case Put:
		l.submit(k.clock.earliest(e.T))
	case Get:
		k.followAnswer(id, l, e)
	case Parts:
		k.followParts(id, l, e)
	}
}

// submit notes that somebody has submitted the job at a time of the moved clock.
func (l *life) submit(t int64) {
	if l.first == 0 {
		l.first = t
		l.endAfter = max(l.endAfter, t)
	}
}

func (l *life) accept(e Event) {
	if l.accepted == 0 {
		l.accepted = e.T + e.Took
	}
}

func (k *kept) followAnswer(id string, l *life, e Event) {
	if e.Status == 0 {
		return
	}
	answered := e.T + e.Took
	if l.gone > 0 && e.T > l.gone && e.State != Gone && (e.T > l.gone+follow || slices.Contains(l.goneAt, e.Who)) {
		k.back.add("%s (then status %d, from %s)", id, e.Status, e.Who)
	}
	if e.State == Gone && !slices.Contains(l.goneAt, e.Who) {
		l.goneAt = append(l.goneAt, e.Who)
	}
	if e.State == Gone && l.gone == 0 {
		l.gone = answered
		k.deleted++
		if !k.mayBeDeleted(l, answered) {
			k.early.add("%s", id)
		}
	}
	l.stale = l.stale || l.cached > 0 && e.State != Gone && e.T > l.cached+follow
	k.fulfil(id, l, e)
	switch {
	case e.State == Gone:
	case final(e.State):
		l.accept(e)
		if l.ended == 0 {
			l.ended, l.endBefore, l.state, l.sum = answered, k.clock.latest(answered), e.State, e.Sum
		}
	case e.Status == 202 && l.ended == 0:
		l.accept(e)
		l.endAfter = max(l.endAfter, k.clock.earliest(e.T))
	}
}

// mayBeDeleted reports whether there is a reason why a job is deleted when an answer
// arrives: its time has passed, or somebody has asked for it.
func (k *kept) mayBeDeleted(l *life, answered int64) bool {
	if l.removed > 0 && l.removed <= answered {
		return true
	}
	if l.endAfter == 0 {
		return false
	}
	if l.keep > 0 && k.clock.latest(answered) >= l.endAfter+l.keep {
		return true
	}
	return slices.ContainsFunc(k.prunes, func(p prune) bool {
		return p.T <= answered && answered < p.until && k.clock.latest(p.T+p.Took) >= l.endAfter+int64(p.N*1e9)
	})
}

// fulfil compares the first answer after a restore with what the backup must have.
func (k *kept) fulfil(id string, l *life, e Event) {
	if l.promise == 0 || e.T <= l.promise {
		return
	}
	l.promise = 0
	if e.State != Gone && (e.State != l.state || e.Sum != l.sum) {
		k.absent.add("%s (%s before, then status %d %s)", id, l.state, e.Status, e.State)
	}
}

// followParts compares the answers of the parts of a job, unless it was deleted in
// between.
func (k *kept) followParts(id string, l *life, e Event) {
	url := e.Parts["before"]
	if url != e.Parts["after"] || url != 200 && url != 410 {
		return
	}
	for _, status := range e.Parts {
		if status == 0 {
			return // no answer
		}
	}
	k.parts++
	there, deleted := 0, 0
	for name, status := range e.Parts {
		switch {
		case name == "before" || name == "after":
		case status == 200:
			there++
		case status == 410:
			deleted++
		case status != 404:
			k.half.add("%s (%v)", id, e.Parts)
			return
		}
	}
	switch {
	case url == 200 && deleted == len(e.Parts)-2:
		if l.cached == 0 {
			l.cached = e.T
		}
	case url == 200 && there < len(e.Parts)-2:
		l.url = e.T
	case url == 410 && there > 0:
		k.half.add("%s (%v)", id, e.Parts)
	}
}

// void ends the orders to prune that came after a backup which is restored.
func (k *kept) void(backup, restored int64) {
	k.restores++
	for i := range k.prunes {
		if p := &k.prunes[i]; p.T > backup {
			p.until = min(p.until, restored)
		}
	}
}

// restore sets back a job to what it was in the backup. If it was final when the backup
// began, it is in it, and restore returns true. What happened later may be in it or not.
func (k *kept) restore(l *life, backup, restored int64) (same bool) {
	if l.gone > 0 && l.gone < backup {
		return true
	}
	l.gone, l.goneAt, l.url, l.cached, l.stale = 0, nil, 0, 0, false
	if l.removed > backup {
		l.removed = 0
	}
	if l.ended > 0 && l.ended < backup {
		if l.removed == 0 {
			l.promise = restored
			k.promises++
		}
		return true
	}
	fresh := life{keep: l.keep, meant: l.meant, removed: l.removed, first: l.first, endAfter: l.first}
	if l.accepted > 0 && l.accepted < backup {
		fresh.accepted = l.accepted
	}
	*l = fresh
	return false
}
