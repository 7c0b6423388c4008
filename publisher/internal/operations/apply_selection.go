package operations

import (
	"context"
	"errors"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxRefusals is how many jobs an answer names that a verb did not suit.
	maxRefusals = 20
	notDone     = "the node could not do it"
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
	return answerOf(s, done), err
}

func answerOf(s Selection, done Outcome) api.Selected {
	answer := api.Selected{Matched: done.Suited, Done: done.Done, Failed: done.Refusals, Next: s.Cursor()}
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
	for short := false; done.More; {
		limit := room(done, short)
		if limit == 0 {
			break
		}
		before, after := *s, done
		list, more, err := o.next(ctx, s, limit)
		full := len(list) == limit
		if err == nil {
			list, err = o.onlyMissing(ctx, s.Verb, list)
		}
		if err == nil {
			err = o.applyTo(ctx, s, s.suited(list, &after), by, &after)
		}
		if err != nil {
			*s = before
			return o.stop(s, done, done.Found > 0, err)
		}
		done = after
		done.More, short = more, !full
	}
	return done, nil
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
	s.ids = s.ids[:0:0]
	for _, rec := range list {
		s.ids = append(s.ids, rec.ID)
	}
	for first := true; len(list) > 0; first = false {
		n := min(len(list), room(done, false))
		if n == 0 {
			return done, nil
		}
		if err := o.applyTo(ctx, s, list[:n], by, &done); err != nil {
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
		err := ledger.ErrUnknown
		if rec.State != "" {
			err = s.Verb.unsuited(rec.State)
		}
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

// applyTo applies the verb to jobs in one transaction.
func (o *Operations) applyTo(ctx context.Context, s *Selection, list []ledger.Record, by string, done *Outcome) error {
	if len(list) == 0 || s.dryRun {
		return nil
	}
	targets := make([]ledger.Target, len(list))
	for i, rec := range list {
		targets[i].ID = rec.ID
		if s.Verb.Missing {
			targets[i].Missing = rec.Attempt
		}
	}
	acted, err := o.act(ctx, s.Verb, targets, by)
	if err != nil {
		return err
	}
	for _, a := range acted {
		s.report(a, done)
	}
	return nil
}

// report adds what became of a job to an outcome.
func (s *Selection) report(a ledger.Acted, done *Outcome) {
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
