package counters

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// maxRows limits the rows that one History reads.
const maxRows = 200_000

// History is what was counted in a span of time, in steps of equal length.
type History struct {
	From  time.Time // of the first step
	Step  time.Duration
	Steps int
	Lines []Line // in no order
	// Unknown is how many of the first steps are left out, because there is too much to
	// read.
	Unknown int
}

// Line is one counter of a program on a node.
type Line struct {
	Program, Node, Name string
	N                   []float64 // by step
}

var (
	qOfProgram = engine.NewQuery(`SELECT at, program, node, name, n FROM counted WHERE program = ? AND grain = ? AND at >= ? AND at < ?
		AND (? = '' OR node = ?) ORDER BY at DESC LIMIT ?`)
	qOfNode = engine.NewQuery(`SELECT at, program, node, name, n FROM counted WHERE node = ? AND grain = ? AND at >= ? AND at < ?
		ORDER BY at DESC LIMIT ?`)
)

// History returns what a program has counted between two times, on one node or on all (""). If
// program is empty it is what all programs have counted on the node. Steps last 10 seconds up to
// an hour, a minute up to 6 hours, 10 minutes up to 3 days, and 2 hours up to 31 days, the
// longest history. The first step begins at or before from.
func (c *Counters) History(ctx context.Context, program, node string, from, until time.Time) (h History, err error) {
	defer c.ledger.Observe("counters", time.Now(), &err)
	from = engine.Later(from, until.Add(-grains[len(grains)-1].span))
	g := grainOf(until.Sub(from))
	h = History{From: from.UTC().Truncate(g.step), Step: g.step}
	h.Steps = int(max(0, (until.Sub(h.From)+h.Step-1)/h.Step))
	start, end := engine.Micros(h.From), engine.Micros(h.From.Add(time.Duration(h.Steps)*h.Step))
	q, args := qOfProgram, []any{program, g.seconds(), start, end, node, node, maxRows}
	if program == "" {
		q, args = qOfNode, []any{node, g.seconds(), start, end, maxRows}
	}
	type key struct{ program, node, name string }
	at, rows := map[key]int{}, 0
	err = c.ledger.Each(ctx, q, args, func(r engine.Row) error {
		var begin int64
		var k key
		var n float64
		if err := r.Scan(&begin, &k.program, &k.node, &k.name, &n); err != nil {
			return err
		}
		i, known := at[k]
		if !known {
			i = len(h.Lines)
			at[k], h.Lines = i, append(h.Lines, Line{k.program, k.node, k.name, make([]float64, h.Steps)})
		}
		step := int((begin - start) / h.Step.Microseconds())
		h.Lines[i].N[step] += n
		if rows++; rows == maxRows {
			h.Unknown = step + 1
		}
		return nil
	})
	return h, engine.Wrap("counters", err)
}
