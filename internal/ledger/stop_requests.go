package ledger

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Stopping is a running attempt that is to be stopped. Verb is VerbCancel, VerbTerminate
// or VerbReset.
type Stopping struct {
	ID      string
	Attempt int
	Verb    Verb
}

var qStopping = engine.NewQuery("SELECT id, attempt, cancel_requested FROM jobs WHERE state = 'running' AND cancel_requested > 0 AND instance = ?")

// Cancelling lists the running attempts of an instance that are to be stopped.
func (l *Ledger) Cancelling(ctx context.Context, instance string) (list []Stopping, err error) {
	err = l.reader.Each(ctx, qStopping, []any{instance}, func(r engine.Row) error {
		var s Stopping
		var code int
		err := r.Scan(&s.ID, &s.Attempt, &code)
		s.Verb = requestedVerb(code)
		list = append(list, s)
		return err
	})
	return list, engine.Wrap("cancelling", err)
}

var qHolds = engine.NewQuery("SELECT state = 'running', attempt FROM jobs WHERE id = ?")

// Holds returns nil if an attempt still owns its job, else ErrStale or ErrUnknown. It
// only reads and is cheap.
func (l *Ledger) Holds(ctx context.Context, id string, attempt int) error {
	var runs bool
	var newest int
	found, err := l.reader.Row(ctx, qHolds, []any{id}, &runs, &newest)
	switch {
	case err != nil:
	case !found:
		err = ErrUnknown
	case !runs || newest != attempt:
		err = ErrStale
	}
	return engine.Wrap("holds", err)
}
