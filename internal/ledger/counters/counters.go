// Package counters adds up what programs count, by program, node and counter, in steps of
// time. Each node adds to rows of its own. Every step length has its own rows, so that nothing
// is rolled up later, and a page reads a few hundred steps for any span.
package counters

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Step is the shortest length of a step.
const Step = 10 * time.Second

// grain is a length of steps.
type grain struct {
	step time.Duration
	span time.Duration // the longest history that is shown in it
	keep time.Duration
}

// grains are all grains, the finest first. Each step is a whole number of those before. The
// last span is the longest history.
var grains = []grain{
	{Step, time.Hour, 75 * time.Minute},
	{time.Minute, 6 * time.Hour, 7 * time.Hour},
	{10 * time.Minute, 3 * 24 * time.Hour, 76 * time.Hour},
	{2 * time.Hour, 31 * 24 * time.Hour, 31*24*time.Hour + 4*time.Hour},
}

func (g grain) seconds() int64 { return int64(g.step / time.Second) }

func grainOf(span time.Duration) grain {
	i := slices.IndexFunc(grains, func(g grain) bool { return span <= g.span+g.step })
	if i < 0 {
		i = len(grains) - 1
	}
	return grains[i]
}

// Counters are what programs have counted, in a ledger.
type Counters struct{ ledger engine.Access }

// New returns the counters in a ledger.
func New(ledger engine.Access) *Counters { return &Counters{ledger} }

// Sum is how far a counter has grown in a step.
type Sum struct {
	Program, Name string
	At            time.Time // in the step
	N             float64   // finite
}

// row is a row of counted, without the node.
type row struct {
	program string
	grain   int64
	at      int64
	name    string
	n       float64
}

func (a *row) compare(b *row) int {
	return cmp.Or(strings.Compare(a.program, b.program), cmp.Compare(a.grain, b.grain), cmp.Compare(a.at, b.at), strings.Compare(a.name, b.name))
}

// rowsOf returns the rows to which sums are added, in the order of their key.
func rowsOf(list []Sum) []row {
	rows := make([]row, 0, len(grains)*len(list))
	for _, g := range grains {
		for _, s := range list {
			rows = append(rows, row{s.Program, g.seconds(), engine.Micros(s.At.Truncate(g.step)), s.Name, s.N})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return a.compare(&b) })
	sums := rows[:0]
	for _, r := range rows {
		if n := len(sums); n > 0 && sums[n-1].compare(&r) == 0 {
			sums[n-1].n += r.n
			continue
		}
		sums = append(sums, r)
	}
	return sums
}

var qAdd = engine.NewManyRows("INSERT INTO counted (program, grain, at, node, name, n) VALUES ", 6,
	" ON CONFLICT (program, grain, at, node, name) DO UPDATE SET n = counted.n + excluded.n")

// Add adds what a node has counted. It is not synced to the disk. After an error nothing of it
// is added.
func (c *Counters) Add(ctx context.Context, node string, list []Sum) error {
	if len(list) == 0 {
		return nil
	}
	rows := rowsOf(list)
	err := c.ledger.Do(ctx, engine.Op{Name: "add-counters", Weight: len(list), Soft: true, Run: func(t engine.Tx) error {
		return qAdd.Split(len(rows), func(q *engine.Query, from, to int) error {
			args := make([]any, 0, 6*(to-from))
			for _, r := range rows[from:to] {
				args = append(args, r.program, r.grain, r.at, node, r.name, r.n)
			}
			return t.Queue(q, args...)
		})
	}})
	return engine.Wrap("add counters", err)
}

var (
	qOldest = engine.NewQuery("SELECT at FROM counted WHERE grain = ? ORDER BY at LIMIT 1")
	qPrune  = engine.NewQuery("DELETE FROM counted WHERE grain = ? AND at < ?")
)

// Prune deletes steps that are too old for any history.
func (c *Counters) Prune(ctx context.Context) error {
	old := make([]engine.Old, 0, len(grains))
	for _, g := range grains {
		old = append(old, engine.Old{Oldest: qOldest, Delete: qPrune, Key: []any{g.seconds()}, Keep: g.keep, Step: g.step})
	}
	return c.ledger.Prune(ctx, old)
}

var (
	qKeep = engine.NewQuery(`INSERT INTO attempt_counters (job, attempt, counters) SELECT job, attempt, counters FROM live
		WHERE job = ? AND counters <> '' ON CONFLICT (job, attempt) DO UPDATE SET counters = excluded.counters`)
	qOfAttempts = engine.NewQuery(`SELECT attempt, counters FROM attempt_counters WHERE job = ?
		UNION ALL SELECT attempt, counters FROM live WHERE job = ? AND counters <> ''`)
)

// Keep keeps the counters of the attempt that has reported last, before its report goes.
func Keep(t engine.Tx, job string) error { return t.Queue(qKeep, job) }

// OfAttempts returns the last counters of the attempts of a job, by their numbers.
func (c *Counters) OfAttempts(ctx context.Context, job string) (map[int]map[string]float64, error) {
	list := map[int]map[string]float64{}
	err := c.ledger.Each(ctx, qOfAttempts, []any{job, job}, func(r engine.Row) error {
		var attempt int
		var text []byte
		var m map[string]float64
		err := r.Scan(&attempt, &text)
		if err == nil {
			err = json.Unmarshal(text, &m)
		}
		list[attempt] = m
		return err
	})
	return list, engine.Wrap("counters of attempts", err)
}
