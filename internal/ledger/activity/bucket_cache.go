package activity

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
	// bucketGrace is how long a step has been over before it is held.
	bucketGrace = time.Minute
	// checkEvery is how old the last comparison of held steps with the table may be.
	checkEvery = 3 * time.Second
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

// What has not been rolled up yet is counted in; one statement sees each end in
// one of the two tables.
var (
	qByNode = engine.NewQuery(`SELECT at, name, state, class, n, run_us, cpu_us, wait_us FROM activity
		WHERE grain = ? AND axis = 'n' AND at >= ? AND at < ?
		UNION ALL SELECT at, node, state, class, n, run_us, cpu_us, wait_us FROM tallies WHERE at >= ? AND at < ?`)
	qByProgram = engine.NewQuery(`SELECT at, name, state, class, n, run_us, cpu_us, wait_us FROM activity
		WHERE grain = ? AND axis = 'p' AND at >= ? AND at < ? AND (? = '' OR name = ?)
		UNION ALL SELECT at, program, state, class, n, run_us, cpu_us, wait_us FROM tallies
		WHERE at >= ? AND at < ? AND (? = '' OR program = ?)`)
)

// qSums are the ends of a span by axis, each of which is in one of the tables.
var qSums = [...]*engine.Query{byNode: newSums("n"), byProgram: newSums("p")}

func newSums(axis string) *engine.Query {
	return engine.NewQuery(`SELECT COALESCE((SELECT SUM(n) FROM activity WHERE grain = ? AND axis = '` + axis + `' AND at >= ? AND at < ?), 0) +
		COALESCE((SELECT SUM(n) FROM tallies WHERE at >= ? AND at < ?), 0)`)
}

// bucketCache holds counters of steps that are over, so that those of a long time are
// not read again and again. Their number tells whether they still are as in the
// table, since it only grows: a clock that is set back counts in them again.
type bucketCache struct {
	ledger engine.Access
	check  *time.Duration // Counters.Check

	mu   sync.Mutex
	held map[bucketKey]heldBuckets
}

type bucketKey struct {
	grain int64
	axis  axis
}

// heldBuckets are the counters from one time until another. The list is never
// changed, only replaced.
type heldBuckets struct {
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
func (b *bucketCache) counters(ctx context.Context, k bucketKey, start, end int64, program string) (old, fresh []counter, err error) {
	held, err := b.heldFrom(ctx, k, start)
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
	fresh, err = b.readCounters(ctx, k, from, end, program)
	if err == nil && program == "" {
		if held.list == nil {
			held.from, held.checked = start, time.Now()
		}
		b.hold(k, held, fresh, end)
	}
	return old, fresh, err
}

// place is the index of the first row at a time or later.
func place(list []counter, at int64) int {
	i, _ := slices.BinarySearchFunc(list, at, func(c counter, at int64) int { return cmp.Compare(c.at, at) })
	return i
}

// heldFrom are the steps from start on that are held and still true.
func (b *bucketCache) heldFrom(ctx context.Context, k bucketKey, start int64) (heldBuckets, error) {
	b.mu.Lock()
	h := b.held[k]
	b.mu.Unlock()
	if h.list == nil || h.from > start || h.until <= start {
		return heldBuckets{}, nil
	}
	now := time.Now()
	if now.Sub(h.checked) < *b.check {
		return h, nil
	}
	var n int64
	_, err := b.ledger.Row(ctx, qSums[k.axis], []any{k.grain, h.from, h.until, h.from, h.until}, &n)
	if err != nil {
		return heldBuckets{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n != h.total() {
		delete(b.held, k)
		return heldBuckets{}, nil
	}
	h.checked = now
	if b.held[k].until == h.until {
		b.held[k] = h
	}
	return h, nil
}

func (h *heldBuckets) total() (n int64) {
	for i := range h.list {
		n += h.list[i].N
	}
	return n
}

// hold adds to what is held those of the fresh rows, which reach until end, whose
// steps are over for good, and lets go of what is older than any activity.
func (b *bucketCache) hold(k bucketKey, h heldBuckets, fresh []counter, end int64) {
	step, now := k.grain*1e6, b.ledger.Now()
	until := engine.Micros(now.Add(-bucketGrace))
	until = min(until-until%step, end)
	oldest := engine.Micros(now.Add(-k.span()))
	if until <= h.until {
		return
	}
	if oldest -= oldest % step; h.from < oldest && h.list != nil {
		h.from, h.list = oldest, h.list[place(h.list, oldest):]
	}
	h.until, h.list = until, slices.Concat(h.list, fresh[:place(fresh, until)])
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(h.list) > 0 && len(h.list) <= maxHeld {
		b.held[k] = h
	}
}

// span is the longest activity in steps of the grain.
func (k bucketKey) span() time.Duration {
	i := slices.IndexFunc(grains, func(g grain) bool { return g.seconds == k.grain })
	return grains[i].span + 2*grains[i].step()
}

// lateEnd forgets the steps in which something has ended after they were over.
func (b *bucketCache) lateEnd(list []Ended) {
	if len(list) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, h := range b.held {
		if slices.ContainsFunc(list, func(v Ended) bool { return v.at < h.until }) {
			delete(b.held, k)
		}
	}
}

// readCounters reads the rows of steps in the order of time; the name is in Program.
func (b *bucketCache) readCounters(ctx context.Context, k bucketKey, from, until int64, program string) (list []counter, err error) {
	q, args := qByNode, []any{k.grain, from, until, from, until}
	if k.axis == byProgram {
		q, args = qByProgram, []any{k.grain, from, until, program, program, from, until, program, program}
	}
	step, words, places := k.grain*1e6, interned{}, map[counter]int{}
	err = b.ledger.Each(ctx, q, args, func(r engine.Row) error {
		var c counter
		var name, state, class sql.RawBytes
		var n, run, cpu, wait int64
		err := r.Scan(&c.at, &name, &state, &class, &n, &run, &cpu, &wait)
		c.at -= c.at % step
		c.Program = words.text(name)
		*(*string)(&c.State), *(*string)(&c.Class) = words.text(state), words.text(class)
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

// interned makes each text that comes again and again once.
type interned map[string]string

func (w interned) text(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	w[s] = s
	return s
}
