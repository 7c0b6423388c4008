package operations

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// MaxNamed is how many jobs a selection may name.
const MaxNamed = httpio.MaxPage

// Selection is the jobs that a request means, from the place that it has come to.
type Selection struct {
	Verb Verb
	// AsOf, where it is set, makes a retry or a reset pass over jobs that have changed
	// since: the same request, sent twice, does nothing twice.
	AsOf time.Time

	dryRun     bool
	dependents bool           // a retry that goes on with the dependents
	ids        []string       // the named jobs that are still to come, or
	states     []jobs.State   // the states that are still to come, in this order, and
	filter     listing.Filter // what else the jobs have to be. Its State and Limit are empty.
}

// SelectNamed returns a selection of jobs by their ids.
func SelectNamed(v Verb, ids []string) Selection { return Selection{Verb: v, ids: ids} }

// SelectMatching returns a selection of the jobs that match a filter, or of none where
// the verb does not apply to the filter's state. The filter's Limit is not used.
func SelectMatching(v Verb, f listing.Filter) Selection {
	s := Selection{Verb: v, states: v.States, filter: f}
	if f.State != "" {
		s.states = nil
		if v.Suits(f.State) {
			s.states = []jobs.State{f.State}
		}
	}
	s.filter.State, s.filter.Limit = "", 0
	return s
}

// Named returns the ids of the named jobs that are still to come, or nil for a
// selection by a filter.
func (s *Selection) Named() []string { return s.ids }

// Cursor returns the place that the selection has come to, for Resume: a state, and
// the place in the list of the jobs in that state. It is empty at the end, and for
// named jobs.
func (s *Selection) Cursor() string {
	if len(s.states) == 0 {
		return ""
	}
	return string(s.states[0]) + "." + s.filter.Cursor
}

// Resume goes on at a cursor, if it is not empty. It reports false where the cursor is
// none of this selection.
func (s *Selection) Resume(cursor string) bool {
	if cursor == "" {
		return true
	}
	state, place, ok := strings.Cut(cursor, ".")
	at := slices.Index(s.states, jobs.State(state))
	if !ok || at < 0 || httpio.TextFault(cursor) != "" {
		return false
	}
	s.states, s.filter.Cursor = s.states[at:], place
	return true
}

// ofEnded returns the selection from the first state on in which jobs have ended.
func (s Selection) ofEnded() Selection {
	for len(s.states) > 0 && !s.states[0].Final() {
		s.states, s.filter.Cursor = s.states[1:], ""
	}
	return s
}

// next returns the next jobs that match, at most limit, and whether there may be more.
// It returns fewer than limit at the end, and where the ledger has searched enough.
func (o *Operations) next(ctx context.Context, s *Selection, limit int) (list []ledger.Record, more bool, err error) {
	for len(s.states) > 0 && len(list) < limit {
		filter := s.filter
		filter.State, filter.Limit = s.states[0], limit-len(list)
		page, err := o.cfg.Ledger.List(ctx, filter)
		if err != nil {
			return nil, false, err
		}
		list = append(list, page.Jobs...)
		if s.filter.Cursor = page.Next; page.Next != "" {
			break
		}
		s.states = s.states[1:]
	}
	return list, len(s.states) > 0, nil
}

// named returns the named jobs. One that is not known has nothing but its id.
func (o *Operations) named(ctx context.Context, s *Selection) ([]ledger.Record, error) {
	found, err := o.cfg.Ledger.GetMany(ctx, s.ids)
	if err != nil {
		return nil, err
	}
	known := make(map[string]ledger.Record, len(found))
	for _, rec := range found {
		known[rec.ID] = rec
	}
	list := make([]ledger.Record, len(s.ids))
	for i, id := range s.ids {
		list[i] = known[id]
		list[i].ID = id
	}
	return list, nil
}

// again reports whether the verb queues ended jobs again.
func (s *Selection) again() bool {
	return s.Verb.Name == ledger.VerbRetry || s.Verb.Name == ledger.VerbReset
}

// unsuited returns the error with which the ledger would refuse the verb for a job, or nil.
func (s *Selection) unsuited(rec ledger.Record) error {
	switch {
	case rec.State == "":
		return ledger.ErrUnknown
	case s.dependents:
		return nil // a job that needs no retry may have dependents that do
	}
	return s.Verb.unsuited(rec.State)
}

// applies reports whether the verb is to be applied to a job.
func (s *Selection) applies(rec ledger.Record) bool {
	return !s.hasChanged(rec) && s.unsuited(rec) == nil
}

// hasChanged reports whether a job is to be passed over because of AsOf.
func (s *Selection) hasChanged(rec ledger.Record) bool {
	return s.again() && !s.AsOf.IsZero() && rec.Updated.After(s.AsOf)
}

// SelectionOf checks what a request of the API selects. What is wrong is a problem.
func SelectionOf(v Verb, order api.Selection) (Selection, error) {
	filter, err := filterOf(order)
	if err != nil {
		return Selection{}, err
	}
	some := filter != listing.Filter{}
	switch {
	case order.WithDependents && (v.Name != ledger.VerbRetry || v.Missing):
		return Selection{}, httpio.BadMember("/with_dependents", "is for the retry of failed jobs")
	case order.IDs != nil:
		s, err := namedBy(v, order, some)
		s.dependents = order.WithDependents
		return s, err
	case some && order.All:
		return Selection{}, httpio.BadMember("/all", "stands alone: leave it out where other members select the jobs")
	case !some && !order.All:
		return Selection{}, httpio.Problem(http.StatusUnprocessableEntity,
			`select the jobs by program, state, node, label, since, until, text or ids, or say "all": true for every job`)
	case order.State != "" && !v.Suits(order.State):
		return Selection{}, httpio.BadMember("/state", fmt.Sprintf("is %s, but only a job that is %s can be %s", order.State, OneOf(v.States), v.Done))
	}
	s := SelectMatching(v, filter)
	s.dependents = order.WithDependents
	if !s.Resume(order.Cursor) {
		err = badCursor()
	}
	return s, err
}

func badCursor() error {
	return httpio.BadMember("/cursor", "is not one that such a selection has given out")
}

// filterOf reads what an order names, by the rules of a listing's query.
func filterOf(order api.Selection) (listing.Filter, error) {
	f := listing.Filter{Since: order.Since, Until: order.Until, EndedBefore: order.EndedBefore}
	members := []struct{ name, value string }{
		{"program", order.Program},
		{"state", string(order.State)},
		{"node", order.Node},
		{"label", order.Label},
		{"text", order.Text},
	}
	if order.Limit != 0 {
		members = append(members, struct{ name, value string }{"limit", fmt.Sprint(order.Limit)})
	}
	for _, m := range members {
		if m.value == "" {
			continue
		}
		if complaint := SetFilter(&f, m.name, m.value); complaint != "" {
			return f, httpio.BadMember("/"+m.name, complaint)
		}
	}
	f.Limit = 0
	return f, nil
}

// namedBy returns a selection of the jobs that an order names, each once.
func namedBy(v Verb, order api.Selection, some bool) (Selection, error) {
	switch {
	case some || order.All || order.Cursor != "" || order.Limit != 0:
		return Selection{}, httpio.BadMember("/ids", "stands alone: leave it out where other members select the jobs")
	case len(order.IDs) == 0 || len(order.IDs) > MaxNamed:
		return Selection{}, httpio.BadMember("/ids", "is a list of 1 to 1000 ids")
	}
	seen := map[string]bool{}
	var ids []string
	for i, id := range order.IDs {
		if !jobs.ValidID(id) {
			return Selection{}, httpio.BadMember(fmt.Sprintf("/ids/%d", i), "is no job's id, a lower-case UUID")
		}
		if !seen[id] {
			ids = append(ids, id)
		}
		seen[id] = true
	}
	return SelectNamed(v, ids), nil
}

// batch is how many jobs are changed in one transaction.
const batch = 256
