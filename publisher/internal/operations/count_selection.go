package operations

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxCounted and countTime bound what Count looks at.
	maxCounted = 20_000
	countTime  = time.Second
)

// Count is how many jobs a selection means.
type Count struct {
	States   map[jobs.State]int // those to which the verb applies
	Unsuited int
	More     bool // there are more than were counted
}

// Total returns the number of jobs to which the verb applies.
func (n Count) Total() (sum int) {
	for _, k := range n.States {
		sum += k
	}
	return sum
}

// Count counts the jobs of a selection for at most about a second.
func (o *Operations) Count(ctx context.Context, s Selection) (Count, error) {
	if s.countsSay() {
		return o.counts(ctx, s.states)
	}
	n := Count{States: map[jobs.State]int{}}
	if s.ids != nil {
		list, err := o.named(ctx, &s)
		n.add(s.Verb, list)
		return n, err
	}
	end := time.Now().Add(countTime)
	for more := true; more; {
		if n.More = n.Total() >= maxCounted || time.Now().After(end); n.More {
			break
		}
		var list []ledger.Record
		var err error
		if list, more, err = o.next(ctx, &s, batch); err != nil {
			return n, err
		}
		n.add(s.Verb, list)
	}
	return n, nil
}

func (n *Count) add(v Verb, list []ledger.Record) {
	for _, rec := range list {
		if v.Suits(rec.State) {
			n.States[rec.State]++
		} else {
			n.Unsuited++
		}
	}
}

// countsSay reports whether the ledger's counts of the states say how many jobs there
// are.
func (s *Selection) countsSay() bool {
	return s.ids == nil && s.filter == listing.Filter{} && !s.Verb.Missing
}

func (o *Operations) counts(ctx context.Context, states []jobs.State) (Count, error) {
	n := Count{States: map[jobs.State]int{}}
	counts, err := o.cfg.Counters.Counts(ctx)
	for _, state := range states {
		n.States[state] = counts[state]
	}
	return n, err
}
