package publisher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// actBatch is how many jobs are changed in one transaction, and in one call
	// that does not say how many it wants.
	actBatch = 256
	// maxRefusals is how many jobs an answer names that a verb did not suit.
	maxRefusals = 20
)

// selection is what a request to change many jobs means.
type selection struct {
	filter ledger.Filter // its State is empty
	states []jobs.State  // that are still to be gone through, in this order
	dryRun bool
}

// postSelection applies a verb to the jobs that a selection finds, a bounded
// number in each call.
func (p *Publisher) postSelection(v verb) echo.HandlerFunc {
	return func(c echo.Context) error {
		var order jobs.Selection
		if err := readOrder(c, &order); err != nil {
			return err
		}
		s, err := newSelection(v, order)
		if err != nil {
			return err
		}
		answer, err := p.apply(c, v, s)
		if err != nil {
			return err
		}
		return sendJSON(c, http.StatusOK, answer)
	}
}

// newSelection checks a selection. What is wrong is a problem.
func newSelection(v verb, order jobs.Selection) (selection, error) {
	s := selection{states: v.states, dryRun: order.DryRun}
	if err := s.setFilter(order); err != nil {
		return s, err
	}
	some := order.Program != "" || order.State != "" || order.Node != "" || order.Label != ""
	switch {
	case some && order.All:
		return s, badMember("/all", "stands alone: leave it out where other members select the jobs")
	case !some && !order.All:
		return s, problem(http.StatusUnprocessableEntity,
			`select the jobs by program, state, node or label, or say "all": true for every job`)
	case order.State != "" && !slices.Contains(v.states, order.State):
		return s, badMember("/state", fmt.Sprintf("is %s, but only a job that is %s can be %s", order.State, oneOf(v.states), v.done))
	case order.State != "":
		s.states = []jobs.State{order.State}
	}
	if order.Limit == 0 {
		s.filter.Limit = actBatch
	}
	return s, s.resume(order.Cursor)
}

// setFilter sets what the order names, by the rules of a listing's query.
func (s *selection) setFilter(order jobs.Selection) error {
	members := []struct{ name, value string }{
		{"program", order.Program}, {"state", string(order.State)}, {"node", order.Node}, {"label", order.Label},
	}
	if order.Limit != 0 {
		members = append(members, struct{ name, value string }{"limit", fmt.Sprint(order.Limit)})
	}
	for _, m := range members {
		if m.value == "" {
			continue
		}
		if complaint := setFilter(&s.filter, m.name, m.value); complaint != "" {
			return badMember("/"+m.name, complaint)
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
	if !ok || at < 0 || textFault(text) != "" {
		return badCursor()
	}
	s.states, s.filter.Cursor = s.states[at:], place
	return nil
}

func badCursor() error {
	return badMember("/cursor", "is not one that such a selection has given out")
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
// or has looked at enough.
func (p *Publisher) apply(c echo.Context, v verb, s selection) (jobs.Selected, error) {
	answer := jobs.Selected{Failed: []jobs.Refusal{}}
	if s.dryRun && s.whole() {
		n, err := p.countOf(c.Request().Context(), s.states)
		answer.Matched = n
		return answer, err
	}
	ids, next, err := p.find(c.Request().Context(), s)
	if err != nil {
		return answer, err
	}
	answer.Matched, answer.Next = len(ids), next
	if s.dryRun {
		return answer, nil
	}
	for batch := range slices.Chunk(ids, actBatch) {
		acted, err := p.act(c, v, batch)
		if err != nil {
			return answer, err
		}
		v.report(&answer, acted)
	}
	return answer, nil
}

// whole reports whether the counts of the states say how many jobs there are.
func (s *selection) whole() bool {
	return s.filter.Program == "" && s.filter.Node == "" && s.filter.Label == "" && s.filter.Cursor == ""
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
		if errors.Is(err, ledger.ErrCursor) {
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
func (v verb) report(answer *jobs.Selected, acted []ledger.Acted) {
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
			answer.Failed = append(answer.Failed, jobs.Refusal{ID: a.ID, Detail: detail})
		}
	}
}
