package operations

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

// Outcome is what a verb did to the jobs of a selection.
type Outcome struct {
	Found    int // jobs that were looked at
	Suited   int // of the found, those to which the verb applies
	Done     int
	Refused  int
	Passed   int           // left alone, since they have changed after Selection.AsOf
	Running  int           // of the done, those whose program is still ending
	Refusals []api.Refusal // the first of the refused
	More     bool          // the selection leads to more jobs
	Stopped  bool          // by an error, after some were done

	Dependents *api.Dependents // of the done jobs; nil unless they were asked for

	bytes    int64 // in the store, of the measured jobs
	measured int
}

// ApplyUntil applies the verb of a selection to its jobs, in batches, until a time, and
// moves the selection on. The argument by is the name of the caller. An error means that
// nothing was done.
func (o *Operations) ApplyUntil(ctx context.Context, s *Selection, end time.Time, by string) (Outcome, error) {
	return o.apply(ctx, s, by, func(Outcome, bool) int {
		if time.Now().After(end) {
			return 0
		}
		return batch
	})
}

// Select applies the verb of a selection to at most limit jobs, or to all that it
// names; limit 0 is one batch. A dry run only counts them. An error means that nothing
// was done. Where only a part could be done, the answer says so and has the cursor of
// the rest.
func (o *Operations) Select(ctx context.Context, s Selection, limit int, dryRun bool, by string) (api.Selected, error) {
	if s.dryRun = dryRun; dryRun && s.countsSay() {
		n, err := o.counts(ctx, s.states)
		return api.Selected{Matched: n.Total(), Failed: []api.Refusal{}}, err
	}
	if limit == 0 {
		limit = batch
	}
	done, err := o.apply(ctx, &s, by, func(done Outcome, short bool) int {
		switch {
		case s.ids != nil:
			return batch
		case short:
			return 0 // the ledger has searched enough for one call
		}
		return min(limit-done.Found, batch)
	})
	if errors.Is(err, listing.ErrCursor) {
		err = badCursor()
	}
	if err == nil && s.dependents && !s.dryRun {
		done.Dependents = o.revive(ctx, s.Verb)
	}
	return answerOf(s, done), err
}

func answerOf(s Selection, done Outcome) api.Selected {
	answer := api.Selected{Matched: done.Suited, Done: done.Done, Failed: done.Refusals, Next: s.Cursor(), Dependents: done.Dependents, Bytes: done.bytes, Measured: done.measured}
	switch {
	case done.Stopped && s.ids != nil:
		answer.Stopped = "the node could not go on; name the jobs that are not done again"
		for _, id := range s.ids[:min(len(s.ids), maxRefusals-len(answer.Failed))] {
			answer.Failed = append(answer.Failed, api.Refusal{ID: id, Detail: notDone})
		}
	case done.Stopped:
		answer.Stopped = "the node could not go on; what is counted as done is done, and the cursor leads to the rest"
	}
	return answer
}

// apply applies a verb in batches. room returns how many jobs the next batch may have,
// and 0 to end. short says that the last batch had fewer.
func (o *Operations) apply(ctx context.Context, s *Selection, by string, room func(done Outcome, short bool) int) (Outcome, error) {
	done := Outcome{Refusals: []api.Refusal{}, More: true}
	if s.ids != nil {
		return o.applyNamed(ctx, s, by, done, room)
	}
	w := walk{ops: o, selection: s, by: by, done: done, helped: true}
	for short := false; w.done.More; {
		limit := room(w.done, short)
		if limit == 0 {
			break
		}
		before := *s
		var err error
		if short, err = w.step(ctx, limit); err != nil {
			*s = before
			return o.stop(s, w.done, w.done.Found > 0, err)
		}
	}
	return w.done, nil
}

// walk applies a verb to the pages of a selection.
type walk struct {
	ops       *Operations
	selection *Selection
	by        string
	done      Outcome
	// ahead are the jobs of a plan that has more of them than one step may take. They come
	// before the page for which it was made is listed again.
	ahead []ledger.Record
	// helped is false if none of a plan could be done: its page is then taken as it is.
	helped bool
}

// step applies the verb to at most limit jobs. short reports that the page had fewer.
func (w *walk) step(ctx context.Context, limit int) (short bool, err error) {
	if len(w.ahead) > 0 {
		n := min(limit, len(w.ahead))
		some, err := w.applyAhead(ctx, w.ahead[:n])
		w.ahead, w.helped = w.ahead[n:], w.helped || some
		return false, err
	}
	before, after := *w.selection, w.done
	list, more, err := w.ops.next(ctx, w.selection, limit)
	full := len(list) == limit
	if err == nil {
		list, err = w.ops.onlyMissing(ctx, w.selection.Verb, list)
	}
	if err != nil {
		return false, err
	}
	order, err := w.ops.needsFirst(ctx, w.selection, list)
	if err != nil {
		return false, err
	}
	if len(order) > limit && w.helped {
		// The jobs that have not ended come before the others, and need no plan.
		notEnded := func(rec ledger.Record) bool { return !rec.State.Final() }
		ended := slices.IndexFunc(list, func(rec ledger.Record) bool { return rec.State.Final() })
		if err := w.applyPage(ctx, list[:ended], nil, &after); err != nil {
			return false, err
		}
		w.ahead, w.helped, w.done = slices.DeleteFunc(order, notEnded), false, after
		*w.selection = before.ofEnded()
		return false, nil
	}
	if len(order) > limit {
		order = nil
	}
	if err = w.applyPage(ctx, list, order, &after); err != nil {
		return false, err
	}
	w.done, w.helped = after, true
	w.done.More = more
	return !full, nil
}

// applyPage applies the verb to the jobs of a page, in the order of a plan if there is one.
func (w *walk) applyPage(ctx context.Context, page, order []ledger.Record, done *Outcome) error {
	suited := w.selection.suited(page, done)
	listed := make(map[string]bool, len(suited))
	for _, rec := range suited {
		listed[rec.ID] = true
	}
	if order == nil {
		order = suited
	}
	if w.selection.dryRun && w.selection.Verb.Name == ledger.VerbDelete {
		return w.ops.measure(ctx, suited, done)
	}
	return w.ops.applyTo(ctx, w.selection, order, w.by, func(a ledger.Acted) {
		switch {
		case listed[a.ID]:
			w.selection.report(a, done)
		case a.Err == nil: // a refused one comes again, on its own page
			done.Found, done.Suited = done.Found+1, done.Suited+1
			w.selection.report(a, done)
		}
	})
}

// applyAhead applies the verb to jobs that their pages lead to again if it is refused. It
// reports whether some were done.
func (w *walk) applyAhead(ctx context.Context, list []ledger.Record) (some bool, err error) {
	done := w.done
	err = w.ops.applyTo(ctx, w.selection, list, w.by, func(a ledger.Acted) {
		if a.Err == nil {
			some, done.Found, done.Suited = true, done.Found+1, done.Suited+1
			w.selection.report(a, &done)
		}
	})
	if err == nil {
		w.done = done
	}
	return some, err
}

// applyNamed looks at all named jobs first, so that the outcome says how many suit.
func (o *Operations) applyNamed(ctx context.Context, s *Selection, by string, done Outcome, room func(Outcome, bool) int) (Outcome, error) {
	list, err := o.named(ctx, s)
	if err != nil {
		return done, err
	}
	if s.Verb.Missing {
		rest, present, err := o.present(ctx, list)
		if err != nil {
			return done, err
		}
		for _, rec := range present {
			s.report(ledger.Acted{ID: rec.ID, Record: rec, Err: ledger.ErrMissing}, &done)
		}
		list, done.Found = rest, done.Found+len(present)
	}
	list = s.suited(list, &done)
	if list, err = o.needsFirst(ctx, s, list); err != nil {
		return done, err
	}
	s.ids = s.ids[:0:0]
	for _, rec := range list {
		s.ids = append(s.ids, rec.ID)
	}
	for first := true; len(list) > 0; first = false {
		n := min(len(list), room(done, false))
		if n == 0 {
			return done, nil
		}
		if err := o.applyTo(ctx, s, list[:n], by, func(a ledger.Acted) { s.report(a, &done) }); err != nil {
			return o.stop(s, done, !first, err)
		}
		list, s.ids = list[n:], s.ids[n:]
	}
	done.More = false
	return done, nil
}

// stop ends after an error. It returns the error only where nothing was done.
func (o *Operations) stop(s *Selection, done Outcome, some bool, err error) (Outcome, error) {
	if !some || s.dryRun {
		return done, err
	}
	o.cfg.Logger.Error("a selection was applied in part", "verb", s.Verb.Name, "done", done.Done, "err", err)
	done.Stopped = true
	return done, nil
}

// suited returns those jobs to which the verb applies, and counts them and the others.
func (s *Selection) suited(list []ledger.Record, done *Outcome) (suited []ledger.Record) {
	for _, rec := range list {
		err := s.unsuited(rec)
		switch {
		case s.hasChanged(rec):
			done.Passed++
		case err != nil:
			s.report(ledger.Acted{ID: rec.ID, Record: rec, Err: err}, done)
		default:
			suited = append(suited, rec)
		}
	}
	done.Found += len(list)
	done.Suited += len(suited)
	return suited
}

// applyTo applies the verb to jobs in one transaction. It calls report with the result of
// each.
func (o *Operations) applyTo(ctx context.Context, s *Selection, list []ledger.Record, by string, report func(ledger.Acted)) error {
	if len(list) == 0 || s.dryRun {
		return nil
	}
	targets := make([]ledger.Target, len(list))
	for i, rec := range list {
		targets[i].ID, targets[i].Dependents = rec.ID, s.dependents
		if s.Verb.Missing {
			targets[i].Missing = rec.Attempt
		}
	}
	acted, err := o.act(ctx, s.Verb, targets, by)
	if err != nil {
		return err
	}
	for _, a := range acted {
		report(a)
	}
	return nil
}

// maxMeasured is how many jobs a dry run measures in one call.
const maxMeasured = 4

// measure adds the sizes of some jobs in the store to an outcome.
func (o *Operations) measure(ctx context.Context, list []ledger.Record, done *Outcome) error {
	for _, rec := range list {
		if done.measured >= maxMeasured {
			return nil
		}
		n, err := o.cfg.Size(ctx, rec.ID, rec.Attempt)
		if err != nil {
			return err
		}
		done.bytes, done.measured = done.bytes+n, done.measured+1
	}
	return nil
}

// report adds what became of a job to an outcome.
func (s *Selection) report(a ledger.Acted, done *Outcome) {
	if a.Untouched {
		done.Suited--
		return
	}
	if a.Err == nil {
		done.Done++
		if a.Record.State == jobs.Running {
			done.Running++
		}
		return
	}
	detail, known := s.Verb.advice(a)
	if !known {
		detail = notDone
	}
	if done.Refused++; len(done.Refusals) < maxRefusals {
		done.Refusals = append(done.Refusals, api.Refusal{ID: a.ID, Detail: detail})
	}
}
