package activity

import (
	"context"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// History is what ended in a span of time, in steps of equal length. Nodes and Programs
// each contain every end once.
type History struct {
	From  time.Time // of the first step
	Step  time.Duration
	Steps int
	// Nodes is empty if one program was asked for.
	Nodes, Programs []Tally
	// Depth has one element per step.
	Depth []Depth
}

var qDepths = engine.NewQuery("SELECT at, queued, running, waiting FROM depths WHERE grain = ? AND at >= ? AND at < ?")

// History returns what ended between two times, of one program or of all (""). Steps
// last one minute up to 6 hours, 10 minutes up to 3 days, and 2 hours up to 31 days, the
// longest history. The first step begins at or before from.
func (c *Counters) History(ctx context.Context, from, until time.Time, program string) (h History, err error) {
	defer c.ledger.Observe("activity", time.Now(), &err)
	last := grains[len(grains)-1]
	from = engine.Later(from, until.Add(-last.span))
	g := grainOf(until.Sub(from))
	h = History{From: from.UTC().Truncate(g.step()), Step: g.step()}
	h.Steps = int(max(0, (until.Sub(h.From)+h.Step-1)/h.Step))
	start, end := engine.Micros(h.From), engine.Micros(h.From.Add(time.Duration(h.Steps)*h.Step))
	if program == "" {
		h.Nodes, err = c.tallies(ctx, &h, bucketKey{g.seconds, byNode}, start, end, "")
	}
	if err == nil {
		h.Programs, err = c.tallies(ctx, &h, bucketKey{g.seconds, byProgram}, start, end, program)
	}
	if err == nil {
		h.Depth, err = c.depths(ctx, &h, g.seconds, start, end)
	}
	return h, engine.Wrap("activity", err)
}

// tallies returns the counters of the steps by an axis, of one program if one is given.
func (c *Counters) tallies(ctx context.Context, h *History, k bucketKey, start, end int64, program string) ([]Tally, error) {
	old, fresh, err := c.cache.counters(ctx, k, start, end, program)
	list := make([]Tally, 0, len(old)+len(fresh))
	for _, rows := range [][]counter{old, fresh} {
		for _, v := range rows {
			if program != "" && v.Program != program {
				continue
			}
			v.Step = h.step(v.at)
			if k.axis == byNode {
				v.Node, v.Program = v.Program, ""
			}
			list = append(list, v.Tally)
		}
	}
	return list, err
}

// step returns the number of the step of a time.
func (h *History) step(at int64) int {
	return int((at - engine.Micros(h.From)) / h.Step.Microseconds())
}

func (c *Counters) depths(ctx context.Context, h *History, args ...any) ([]Depth, error) {
	list := slices.Repeat([]Depth{{-1, -1, -1}}, h.Steps)
	err := c.ledger.Each(ctx, qDepths, args, func(r engine.Row) error {
		var at int64
		var d Depth
		if err := r.Scan(&at, &d.Queued, &d.Running, &d.Waiting); err != nil {
			return err
		}
		if i := h.step(at); i >= 0 && i < len(list) {
			list[i] = d
		}
		return nil
	})
	return list, err
}
