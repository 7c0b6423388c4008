package ledger

import (
	"context"
	"errors"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

// Fail ends a queued or waiting job that no node can handle. It does nothing for a job
// that runs or has ended. It returns ErrUnknown for an unknown id.
func (l *Ledger) Fail(ctx context.Context, id string, e jobs.Error) error {
	err := l.do(ctx, &op{name: "fail", weight: 1, run: func(t *txn) error {
		state, err := t.state(id)
		switch {
		case err == nil && state == "":
			return ErrUnknown
		case err != nil || state != jobs.Queued && state != jobs.Waiting:
			return err
		}
		if err := t.fail(id, state, cleanError(&e), eventlog.KindFailed); err != nil {
			return err
		}
		_, err = t.endDependents(id, jobs.Failed)
		return err
	}})
	return engine.Wrap("fail", err)
}

// separately calls do with a list. If that panics, it calls do with each element, so
// that the others are not held up.
func separately[T any](list []T, do func([]T) error) error {
	err := do(list)
	var caught *panics.Error
	if len(list) < 2 || !errors.As(err, &caught) {
		return err
	}
	var errs []error
	for i := range list {
		errs = append(errs, do(list[i:i+1]))
	}
	return errors.Join(errs...)
}
