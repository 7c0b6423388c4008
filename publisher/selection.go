package publisher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// actBatch is how many jobs are changed in one transaction, and in one call
	// that does not say how many it wants.
	actBatch = 256
	// maxRefusals is how many jobs an answer names that a verb did not suit.
	maxRefusals = 20
)

// maxSelection is the size in bytes of the largest selection: a thousand ids.
const maxSelection = 64 << 10

// selection is what a request to change many jobs means.
type selection struct {
	filter listing.Filter // its State is empty
	states []jobs.State   // that are still to be gone through, in this order
	ids    []string       // instead of the two
	dryRun bool
}

// postSelection applies a verb to the jobs that a selection finds, a bounded
// number in each call.
func (p *Publisher) postSelection(v verb) echo.HandlerFunc {
	return func(c echo.Context) error {
		body, err := httpio.ReadBody(c, maxSelection)
		if err != nil {
			return err
		}
		var order api.Selection
		if err := httpio.DecodeObject(body, &order); err != nil {
			return err
		}
		s, err := newSelection(v, order)
		if err != nil {
			return err
		}
		return p.once(c, body, func() (int, any, error) {
			answer, err := p.apply(c, v, s)
			return http.StatusOK, answer, err
		})
	}
}

// newSelection checks a selection. What is wrong is a problem.
func newSelection(v verb, order api.Selection) (selection, error) {
	s := selection{states: v.states, dryRun: order.DryRun}
	if err := s.setFilter(order); err != nil {
		return s, err
	}
	some := s.filter != listing.Filter{Limit: s.filter.Limit} || order.State != ""
	switch {
	case order.IDs != nil:
		return s, s.setIDs(order, some)
	case some && order.All:
		return s, httpio.BadMember("/all", "stands alone: leave it out where other members select the jobs")
	case !some && !order.All:
		return s, httpio.Problem(http.StatusUnprocessableEntity,
			`select the jobs by program, state, node, label, since, until, text or ids, or say "all": true for every job`)
	case order.State != "" && !slices.Contains(v.states, order.State):
		return s, httpio.BadMember("/state", fmt.Sprintf("is %s, but only a job that is %s can be %s", order.State, oneOf(v.states), v.done))
	case order.State != "":
		s.states = []jobs.State{order.State}
	}
	if order.Limit == 0 {
		s.filter.Limit = actBatch
	}
	return s, s.resume(order.Cursor)
}

// setIDs takes the jobs that are named, each once.
func (s *selection) setIDs(order api.Selection, some bool) error {
	switch {
	case some || order.All || order.Cursor != "" || order.Limit != 0:
		return httpio.BadMember("/ids", "stands alone: leave it out where other members select the jobs")
	case len(order.IDs) == 0 || len(order.IDs) > httpio.MaxPage:
		return httpio.BadMember("/ids", "is a list of 1 to 1000 ids")
	}
	seen := map[string]bool{}
	for i, id := range order.IDs {
		if !jobs.ValidID(id) {
			return httpio.BadMember(fmt.Sprintf("/ids/%d", i), "is no job's id, a lower-case UUID")
		}
		if !seen[id] {
			s.ids = append(s.ids, id)
		}
		seen[id] = true
	}
	return nil
}

// setFilter sets what the order names, by the rules of a listing's query.
func (s *selection) setFilter(order api.Selection) error {
	s.filter.Since, s.filter.Until = order.Since, order.Until
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
		if complaint := setFilter(&s.filter, m.name, m.value); complaint != "" {
			return httpio.BadMember("/"+m.name, complaint)
		}
	}
	s.filter.State = ""
	return nil
}

// resume goes on where the call before has ended. A cursor is a state, and the
// place in the list of the jobs in that state.
func (s *selection) resume(text string) error {
	if text == "" {
		return nil
	}
	state, place, ok := strings.Cut(text, ".")
	at := slices.Index(s.states, jobs.State(state))
	if !ok || at < 0 || httpio.TextFault(text) != "" {
		return badCursor()
	}
	s.states, s.filter.Cursor = s.states[at:], place
	return nil
}

func badCursor() error {
	return httpio.BadMember("/cursor", "is not one that such a selection has given out")
}

// oneOf joins states for a sentence.
func oneOf(states []jobs.State) string {
	words := make([]string, len(states))
	for i, state := range states {
		words[i] = string(state)
	}
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " or " + words[last]
	}
	return words[0]
}

// apply goes through the selection until it has found as many jobs as it may
// or has looked at enough. An error means that nothing was done; where only a
// part could be done, the answer says so and has the cursor of the rest.
func (p *Publisher) apply(c echo.Context, v verb, s selection) (api.Selected, error) {
	answer := api.Selected{Failed: []api.Refusal{}}
	if s.dryRun && s.whole() {
		n, err := p.countOf(c.Request().Context(), s.states)
		answer.Matched = n
		return answer, err
	}
	if s.ids != nil {
		err := p.applyNamed(c, v, s, &answer) // first, so that the answer returned is the one it fills in
		return answer, err
	}
	limit, wanted := s.filter.Limit, 0
	for answer.Matched == wanted && wanted < limit { // a piece is short at the end, or where enough was looked at
		s.filter.Limit = min(limit-wanted, actBatch)
		wanted += s.filter.Limit
		next, err := p.applyPiece(c, v, s, &answer)
		if err != nil && answer.Matched > 0 && !s.dryRun {
			p.log.Error("a selection was applied in part", "verb", v.name, "done", answer.Done, "err", err)
			answer.Stopped = partDone
			return answer, nil
		}
		if answer.Next = next; err != nil || next == "" {
			return answer, err
		}
		if err := s.resume(next); err != nil {
			return answer, err
		}
	}
	return answer, nil
}

// partDone is why a call ended before it had done all that it found.
const partDone = "the node could not go on; what is counted as done is done, and the cursor leads to the rest"

// applyPiece finds the next jobs of a selection and applies the verb to them in
// one transaction. next is the cursor behind them; empty at the end.
func (p *Publisher) applyPiece(c echo.Context, v verb, s selection, answer *api.Selected) (next string, err error) {
	ids, next, err := p.find(c.Request().Context(), s)
	if err == nil && !s.dryRun && len(ids) > 0 {
		err = p.applyTo(c, v, ids, answer)
	}
	if err == nil {
		answer.Matched += len(ids)
	}
	return next, err
}

func (p *Publisher) applyTo(c echo.Context, v verb, ids []string, answer *api.Selected) error {
	acted, err := p.act(c, v, ids)
	if err == nil {
		v.report(answer, acted)
	}
	return err
}

// applyNamed applies a verb to named jobs. Those that were not come to are
// reported as failed.
func (p *Publisher) applyNamed(c echo.Context, v verb, s selection, answer *api.Selected) error {
	ids, err := p.suited(c.Request().Context(), v, s.ids, answer)
	if answer.Matched = len(ids); err != nil || s.dryRun {
		return err
	}
	for done := 0; done < len(ids); done += actBatch {
		err := p.applyTo(c, v, ids[done:min(done+actBatch, len(ids))], answer)
		if err != nil && done == 0 {
			return err
		}
		if err != nil {
			answer.Stopped = "the node could not go on; name the jobs that are not done again"
			for _, id := range ids[done:] {
				v.report(answer, []ledger.Acted{{ID: id, Err: err}})
			}
			return nil
		}
	}
	return nil
}

// suited are those of the named jobs to which a verb applies; the answer says
// why it does not apply to the others.
func (p *Publisher) suited(ctx context.Context, v verb, ids []string, answer *api.Selected) (list []string, err error) {
	found, err := p.cfg.Ledger.GetMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	known := make(map[string]ledger.Record, len(found))
	for _, rec := range found {
		known[rec.ID] = rec
	}
	for _, id := range ids {
		a := ledger.Acted{ID: id, Record: known[id], Err: ledger.ErrUnknown}
		if rec, ok := known[id]; ok {
			a.Err = v.suits(rec.State)
		}
		if a.Err == nil {
			list = append(list, id)
		} else {
			v.report(answer, []ledger.Acted{a})
		}
	}
	return list, nil
}

// suits says why a verb does not apply to a job in a state, as the ledger would.
func (v verb) suits(state jobs.State) error {
	switch {
	case slices.Contains(v.states, state):
		return nil
	case v.name == ledger.VerbRetry && !state.Final():
		return ledger.ErrNotEnded
	case state.Final():
		return ledger.ErrFinal
	}
	return ledger.ErrNotRunning
}

// whole reports whether the counts of the states say how many jobs there are.
func (s *selection) whole() bool {
	return s.ids == nil && s.filter == listing.Filter{Limit: s.filter.Limit}
}

func (p *Publisher) countOf(ctx context.Context, states []jobs.State) (n int, err error) {
	counts, err := p.cfg.Ledger.Counts(ctx)
	for _, state := range states {
		n += counts[state]
	}
	return n, err
}

// find lists the jobs of one call and says where the next one goes on.
func (p *Publisher) find(ctx context.Context, s selection) (ids []string, next string, err error) {
	limit := s.filter.Limit
	for _, state := range s.states {
		s.filter.State, s.filter.Limit = state, limit-len(ids)
		if s.filter.Limit == 0 {
			return ids, string(state) + ".", nil
		}
		page, err := p.cfg.Ledger.List(ctx, s.filter)
		if errors.Is(err, listing.ErrCursor) {
			err = badCursor()
		}
		if err != nil {
			return nil, "", err
		}
		for _, rec := range page.Jobs {
			ids = append(ids, rec.ID)
		}
		if page.Next != "" {
			return ids, string(state) + "." + page.Next, nil
		}
		s.filter.Cursor = ""
	}
	return ids, "", nil
}

// report adds what became of some jobs to an answer.
func (v verb) report(answer *api.Selected, acted []ledger.Acted) {
	for _, a := range acted {
		if a.Err == nil {
			answer.Done++
			continue
		}
		detail, known := v.advice(a)
		if !known {
			detail = "the node could not do it"
		}
		if len(answer.Failed) < maxRefusals {
			answer.Failed = append(answer.Failed, api.Refusal{ID: a.ID, Detail: detail})
		}
	}
}
