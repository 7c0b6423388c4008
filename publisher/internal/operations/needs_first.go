package operations

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
)

// maxPlanned bounds the jobs that one plan looks at. Jobs that need more failed jobs than
// that are refused, and the next call of the same selection finds them.
const maxPlanned = 10_000

// plan is a search for the failed jobs that the jobs of a selection need.
type plan struct {
	ops       *Operations
	selection *Selection
	named     map[string]bool          // for a selection of named jobs
	records   map[string]ledger.Record // of the jobs that are part of the plan
	needs     map[string][]string
}

// needsFirst returns those of jobs to which the verb of a selection applies, and before each
// the jobs of the same selection that it needs and that have failed, too: a retry of a job is
// refused while what it needs has failed.
func (o *Operations) needsFirst(ctx context.Context, s *Selection, list []ledger.Record) ([]ledger.Record, error) {
	p := plan{o, s, map[string]bool{}, map[string]ledger.Record{}, map[string][]string{}}
	for _, id := range s.ids {
		p.named[id] = true
	}
	var first, level []string
	for _, rec := range list {
		if !s.applies(rec) {
			continue
		}
		p.records[rec.ID] = rec
		first = append(first, rec.ID)
		if rec.State.Final() && rec.Attempt == 0 {
			level = append(level, rec.ID)
		}
	}
	for len(level) > 0 && s.again() && !s.dryRun {
		var err error
		if level, err = p.below(ctx, level); err != nil {
			return nil, err
		}
	}
	return p.order(first), nil
}

// below adds the failed needs of jobs to the plan. It returns those that are new.
func (p *plan) below(ctx context.Context, level []string) (next []string, err error) {
	edges, err := p.ops.cfg.Stuck.FailedNeeds(ctx, level)
	if err != nil {
		return nil, err
	}
	var unknown []string
	asked := map[string]bool{}
	for _, e := range edges {
		p.needs[e.Job] = append(p.needs[e.Job], e.Need)
		if _, known := p.records[e.Need]; !known && !asked[e.Need] && (p.selection.ids == nil || p.named[e.Need]) {
			asked[e.Need] = true
			unknown = append(unknown, e.Need)
		}
	}
	for from := 0; from < len(unknown) && len(p.records) < maxPlanned; from += MaxNamed {
		list, err := p.ops.cfg.Ledger.GetMany(ctx, unknown[from:min(from+MaxNamed, len(unknown))])
		if err != nil {
			return nil, err
		}
		for _, rec := range list {
			selected, err := p.selects(ctx, rec)
			if err != nil {
				return nil, err
			}
			if selected {
				p.records[rec.ID] = rec
				next = append(next, rec.ID)
			}
		}
	}
	return next, nil
}

// selects reports whether a job is one that its selection still leads to.
func (p *plan) selects(ctx context.Context, rec ledger.Record) (bool, error) {
	s, f := p.selection, p.selection.filter
	if !s.applies(rec) || s.ids == nil && !slices.Contains(s.states, rec.State) {
		return false, nil
	}
	key, value, _ := strings.Cut(f.Label, "=")
	has, labelled := rec.Labels[key]
	switch {
	case s.ids != nil, f == (listing.Filter{Cursor: f.Cursor}):
		return true, nil
	case f.Program != "" && f.Program != rec.Program, f.Node != "" && f.Node != rec.Node,
		!f.Since.IsZero() && rec.Accepted.Before(f.Since), !f.Until.IsZero() && !rec.Accepted.Before(f.Until),
		f.Label != "" && (!labelled || has != value):
		return false, nil
	case f.Text == "":
		return true, nil
	}
	// The ledger says what a text matches.
	f.State, f.Since, f.Until, f.Cursor, f.Limit = rec.State, rec.Accepted, rec.Accepted.Add(time.Microsecond), "", MaxNamed
	page, err := p.ops.cfg.Ledger.List(ctx, f)
	for _, r := range page.Jobs {
		if r.ID == rec.ID {
			return true, err
		}
	}
	return false, err
}

// order returns the jobs of the plan, each after its needs. The given ones come in their
// order, if that allows it.
func (p *plan) order(first []string) []ledger.Record {
	list := make([]ledger.Record, 0, len(p.records))
	seen := map[string]bool{}
	type visit struct {
		id   string
		done bool // its needs are in the list
	}
	for _, id := range first {
		for stack := []visit{{id: id}}; len(stack) > 0; {
			v := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			rec, planned := p.records[v.id]
			if v.done {
				list = append(list, rec)
			}
			if v.done || !planned || seen[v.id] {
				continue
			}
			seen[v.id] = true
			stack = append(stack, visit{v.id, true})
			for _, need := range p.needs[v.id] {
				stack = append(stack, visit{id: need})
			}
		}
	}
	return list
}
