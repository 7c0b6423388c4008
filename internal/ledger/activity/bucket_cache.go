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
	// bucketGrace is how long a step must be over before it is cached.
	bucketGrace = time.Minute
	// checkEvery is the default of Counters.Check.
	checkEvery = 3 * time.Second
	// maxHeld limits the cached counters of one grain and axis to a few megabytes. If
	// there are more, nothing is cached.
	maxHeld = 32 << 10
)

// axis is the name under which ends are counted.
type axis int

const (
	byNode axis = iota
	byProgram
)

// Ends that are not rolled up yet are in tallies. One statement reads both tables, so it
// sees each end once.
var (
	qByNode = engine.NewQuery(`SELECT at, name, state, class, n, run_us, cpu_us, wait_us FROM activity
		WHERE grain = ? AND axis = 'n' AND at >= ? AND at < ?
		UNION ALL SELECT at, node, state, class, n, run_us, cpu_us, wait_us FROM tallies WHERE at >= ? AND at < ?`)
	qByProgram = engine.NewQuery(`SELECT at, name, state, class, n, run_us, cpu_us, wait_us FROM activity
		WHERE grain = ? AND axis = 'p' AND at >= ? AND at < ? AND (? = '' OR name = ?)
		UNION ALL SELECT at, program, state, class, n, run_us, cpu_us, wait_us FROM tallies
		WHERE at >= ? AND at < ? AND (? = '' OR program = ?)`)
)

// qSums return the number of ends in a span by axis.
var qSums = [...]*engine.Query{byNode: newSums("n"), byProgram: newSums("p")}

func newSums(axis string) *engine.Query {
	return engine.NewQuery(`SELECT COALESCE((SELECT SUM(n) FROM activity WHERE grain = ? AND axis = '` + axis + `' AND at >= ? AND at < ?), 0) +
		COALESCE((SELECT SUM(n) FROM tallies WHERE at >= ? AND at < ?), 0)`)
}

// bucketCache caches the counters of steps that are over. It compares their sum with the
// tables, because a clock that was set back counts in old steps. Sums only grow.
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

// heldBuckets are the cached counters of a span. The list is replaced, never changed.
type heldBuckets struct {
	from, until int64
	list        []counter
	checked     time.Time
}

// counter is a row of ended attempts and jobs.
type counter struct {
	at int64
	Tally
}

// counters returns the rows from start to end by an axis, cached ones as old. If a
// program is given, other programs may be left out.
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
		program = "" // the new rows are few and are cached for all programs
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

// place returns the index of the first row at or after a time.
func place(list []counter, at int64) int {
	i, _ := slices.BinarySearchFunc(list, at, func(c counter, at int64) int { return cmp.Compare(c.at, at) })
	return i
}

// heldFrom returns the cached steps from start on if they are still right.
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

// hold caches those of the fresh rows whose steps are over. fresh reaches until end. It
// drops steps that no history shows.
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

// span returns the longest history in steps of the grain.
func (k bucketKey) span() time.Duration {
	i := slices.IndexFunc(grains, func(g grain) bool { return g.seconds == k.grain })
	return grains[i].span + 2*grains[i].step()
}

// lateEnd drops cached steps in which something has ended since.
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

// readCounters reads the rows of steps, ordered by time. The name is in Program.
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

// interned allocates each repeated text once.
type interned map[string]string

func (w interned) text(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	w[s] = s
	return s
}
