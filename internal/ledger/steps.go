package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// stepGrace is how long a step has been over before it is held.
	stepGrace = time.Minute
	// stepsCheck is how old the last comparison of held steps with the table may be.
	stepsCheck = 3 * time.Second
	// maxHeld bounds the counters that are held of one grain and axis: a few
	// megabytes. Where there are more, all are read each time.
	maxHeld = 32 << 10
)

// axis is what ends are counted by: nodes or programs.
type axis int

const (
	byNode axis = iota
	byProgram
)

// qSums are the ends of a span by axis, each of which is in one of the tables.
var qSums = [...]*engine.Query{byNode: newSums("n"), byProgram: newSums("p")}

func newSums(axis string) *engine.Query {
	return engine.NewQuery(`SELECT COALESCE((SELECT SUM(n) FROM activity WHERE grain = ? AND axis = '` + axis + `' AND at >= ? AND at < ?), 0) +
		COALESCE((SELECT SUM(n) FROM tallies WHERE at >= ? AND at < ?), 0)`)
}

// steps holds counters of steps that are over, so that those of a long time are
// not read again and again. Their number tells whether they still are as in the
// table, since it only grows: a clock that is set back counts in them again.
type steps struct {
	check time.Duration // stepsCheck, but for tests

	mu   sync.Mutex
	held map[stepsKey]heldSteps
}

type stepsKey struct {
	grain int64
	axis  axis
}

// heldSteps are the counters from one time until another. The list is never
// changed, only replaced.
type heldSteps struct {
	from, until int64
	list        []counter
	checked     time.Time
}

// counter is a row of what ended.
type counter struct {
	at int64
	Tally
}

// counters are the rows from start to end by an axis, the held ones first; where
// a program is wanted, at least all of its.
func (l *Ledger) counters(ctx context.Context, k stepsKey, start, end int64, program string) (old, fresh []counter, err error) {
	held, err := l.heldFrom(ctx, k, start)
	if err != nil {
		return nil, nil, err
	}
	old = held.list[place(held.list, start):max(place(held.list, start), place(held.list, end))]
	from := max(start, held.until)
	if from >= end {
		return old, nil, nil
	}
	if held.list != nil {
		program = "" // what is new is little, and may be held for all
	}
	fresh, err = l.readCounters(ctx, k, from, end, program)
	if err == nil && program == "" {
		if held.list == nil {
			held.from, held.checked = start, time.Now()
		}
		l.hold(k, held, fresh, end)
	}
	return old, fresh, err
}

// place is the index of the first row at a time or later.
func place(list []counter, at int64) int {
	i, _ := slices.BinarySearchFunc(list, at, func(c counter, at int64) int { return cmp.Compare(c.at, at) })
	return i
}

// heldFrom are the steps from start on that are held and still true.
func (l *Ledger) heldFrom(ctx context.Context, k stepsKey, start int64) (heldSteps, error) {
	l.steps.mu.Lock()
	h := l.steps.held[k]
	l.steps.mu.Unlock()
	if h.list == nil || h.from > start || h.until <= start {
		return heldSteps{}, nil
	}
	now := time.Now()
	if now.Sub(h.checked) < l.steps.check {
		return h, nil
	}
	var n int64
	_, err := l.reader.Row(ctx, qSums[k.axis], []any{k.grain, h.from, h.until, h.from, h.until}, &n)
	if err != nil {
		return heldSteps{}, err
	}
	l.steps.mu.Lock()
	defer l.steps.mu.Unlock()
	if n != h.total() {
		delete(l.steps.held, k)
		return heldSteps{}, nil
	}
	h.checked = now
	if l.steps.held[k].until == h.until {
		l.steps.held[k] = h
	}
	return h, nil
}

func (h *heldSteps) total() (n int64) {
	for i := range h.list {
		n += h.list[i].N
	}
	return n
}

// hold adds to what is held those of the fresh rows, which reach until end, whose
// steps are over for good, and lets go of what is older than any activity.
func (l *Ledger) hold(k stepsKey, h heldSteps, fresh []counter, end int64) {
	step, now := k.grain*1e6, l.now()
	until := engine.Micros(now.Add(-stepGrace))
	until = min(until-until%step, end)
	oldest := engine.Micros(now.Add(-k.span()))
	if until <= h.until {
		return
	}
	if oldest -= oldest % step; h.from < oldest && h.list != nil {
		h.from, h.list = oldest, h.list[place(h.list, oldest):]
	}
	h.until, h.list = until, slices.Concat(h.list, fresh[:place(fresh, until)])
	l.steps.mu.Lock()
	defer l.steps.mu.Unlock()
	if len(h.list) > 0 && len(h.list) <= maxHeld {
		l.steps.held[k] = h
	}
}

// span is the longest activity in steps of the grain.
func (k stepsKey) span() time.Duration {
	i := slices.IndexFunc(grains, func(g grain) bool { return g.seconds == k.grain })
	return grains[i].span + 2*grains[i].step()
}

// lateEnd forgets the steps in which something has ended after they were over.
func (l *Ledger) lateEnd(list []tally) {
	if len(list) == 0 {
		return
	}
	l.steps.mu.Lock()
	defer l.steps.mu.Unlock()
	for k, h := range l.steps.held {
		if slices.ContainsFunc(list, func(v tally) bool { return v.at < h.until }) {
			delete(l.steps.held, k)
		}
	}
}

// readCounters reads the rows of steps in the order of time; the name is in Program.
func (l *Ledger) readCounters(ctx context.Context, k stepsKey, from, until int64, program string) (list []counter, err error) {
	q, args := qByNode, []any{k.grain, from, until, from, until}
	if k.axis == byProgram {
		q, args = qByProgram, []any{k.grain, from, until, program, program, from, until, program, program}
	}
	step, words, places := k.grain*1e6, words{}, map[counter]int{}
	err = l.reader.Each(ctx, q, args, func(r engine.Row) error {
		var c counter
		var name, state, class sql.RawBytes
		var n, run, cpu, wait int64
		err := r.Scan(&c.at, &name, &state, &class, &n, &run, &cpu, &wait)
		c.at -= c.at % step
		c.Program = words.of(name)
		*(*string)(&c.State), *(*string)(&c.Class) = words.of(state), words.of(class)
		i, known := places[c]
		if !known {
			i = len(list)
			places[c], list = i, append(list, c)
		}
		o := &list[i]
		o.N, o.Run, o.CPU, o.Wait = o.N+n, o.Run+engine.Microseconds(run), o.CPU+engine.Microseconds(cpu), o.Wait+engine.Microseconds(wait)
		return err
	})
	slices.SortStableFunc(list, func(a, b counter) int { return cmp.Compare(a.at, b.at) })
	return list, err
}

// words makes each text that comes again and again once.
type words map[string]string

func (w words) of(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	w[s] = s
	return s
}
