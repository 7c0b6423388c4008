package activity

import (
	"cmp"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// EndedKey is what ends are counted by.
type EndedKey struct {
	at            int64 // of the minute
	Node, Program string
	State         jobs.State // "" if the job continues
	Class         jobs.Outcome
	Bin           int // of the histogram of durations, or NoBin
}

// Ended counts ends of attempts and jobs in a transaction.
type Ended struct {
	EndedKey
	N              int64
	Run, CPU, Wait int64 // in microseconds
}

var qTally = engine.NewManyRows("INSERT INTO tallies (at, node, program, state, class, bin, n, run_us, cpu_us, wait_us) VALUES ", 10,
	` ON CONFLICT (at, node, program, state, class, bin) DO UPDATE SET n = tallies.n + excluded.n,
		run_us = tallies.run_us + excluded.run_us, cpu_us = tallies.cpu_us + excluded.cpu_us,
		wait_us = tallies.wait_us + excluded.wait_us`)

// Add counts an end at a time.
func Add(list []Ended, v Ended, now time.Time) []Ended {
	v.at = minute(now)
	return AddEnded(list, &v)
}

// AddEnded adds to the element with the same key.
func AddEnded(list []Ended, v *Ended) []Ended {
	for i := range list {
		if o := &list[i]; o.EndedKey == v.EndedKey {
			o.N, o.Run, o.CPU, o.Wait = o.N+v.N, o.Run+v.Run, o.CPU+v.CPU, o.Wait+v.Wait
			return list
		}
	}
	return append(list, *v)
}

// Write writes the ends, ordered by key to avoid deadlocks in engines that lock rows.
func Write(t engine.Tx, list []Ended) error {
	slices.SortFunc(list, compare)
	return qTally.Split(len(list), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, 10*(to-from))
		for _, v := range list[from:to] {
			args = append(args, v.at, v.Node, v.Program, string(v.State), string(v.Class), v.Bin, v.N, v.Run, v.CPU, v.Wait)
		}
		return t.Queue(q, args...)
	})
}

func compare(a, b Ended) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Program, b.Program),
		cmp.Compare(a.State, b.State), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Bin, b.Bin))
}
