package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/states"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

const defaultExpires = 256 // jobs that one call fails

var (
	qExpired = engine.NewQuery(`SELECT id FROM jobs WHERE expires > 0 AND state IN ('queued', 'waiting')
		AND expires <= ? ORDER BY expires LIMIT ?`)
	qNeverCame    = engine.NewQuery("SELECT job, need FROM needs WHERE deadline > 0 AND deadline <= ? ORDER BY deadline LIMIT ?")
	qStillMissing = engine.NewQuery("SELECT 1 FROM needs WHERE need = ? AND job = ? AND deadline > 0")
)

// overdue is a job that may have to fail. need is set if it waits for something that
// never came.
type overdue struct{ id, need string }

// Expire fails jobs that expired before they started. It also fails jobs that have
// waited for their needs_timeout, by default an hour, for a job that nobody submitted, or for ten minutes for a program
// that no node announced. It returns their ids. limit bounds their number; 0 means 256.
func (l *Ledger) Expire(ctx context.Context, limit int) ([]string, error) {
	if limit <= 0 {
		limit = defaultExpires
	}
	ids, err := l.expire(ctx, limit)
	if err != nil {
		return nil, engine.Wrap("expire", err)
	}
	return ids, nil
}

// expire reads first and writes only if there is something to do, because it is called
// often.
func (l *Ledger) expire(ctx context.Context, limit int) (ids []string, err error) {
	now := l.now()
	list, err := overdues(ctx, l.reader, limit, qExpired, engine.Micros(now))
	if err != nil {
		return nil, err
	}
	late, err := overdues(ctx, l.reader, limit-len(list), qNeverCame, engine.Micros(now))
	if err != nil {
		return nil, err
	}
	list = append(list, late...)
	var one int
	left, err := l.reader.Row(ctx, qAnyRemaining, []any{engine.Micros(now.Add(-reviveAfter))}, &one)
	if err != nil || (len(list) == 0 && !left) {
		return nil, err
	}
	err = separately(list, func(list []overdue) error {
		done, err := l.expireAll(ctx, list, left)
		ids = append(ids, done...)
		return err
	})
	return ids, err
}

func (l *Ledger) expireAll(ctx context.Context, list []overdue, unsettled bool) (ids []string, err error) {
	err = l.do(ctx, &op{name: "expire", weight: len(list), run: func(t *txn) error {
		ids, t.remaining = nil, t.remaining || unsettled
		for _, o := range list {
			done, err := o.expire(t)
			if err != nil {
				return err
			}
			if done {
				ids = append(ids, o.id)
			}
		}
		return nil
	}})
	return ids, err
}

func overdues(ctx context.Context, r engine.Reader, limit int, q *engine.Query, until int64) (list []overdue, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = r.Each(ctx, q, []any{until, limit}, func(row engine.Row) error {
		var o overdue
		dest := []any{&o.id, &o.need}
		if q == qExpired {
			dest = dest[:1]
		}
		err := row.Scan(dest...)
		list = append(list, o)
		return err
	})
	return list, err
}

// expire fails a job if it still has to.
func (o overdue) expire(t *txn) (bool, error) {
	r, found, err := t.get(o.id)
	if err != nil || !found || (r.State != jobs.Queued && r.State != jobs.Waiting) {
		return false, err
	}
	if o.need == "" {
		if !expired(&r, t) {
			return false, nil
		}
		return true, expire(t, &r)
	}
	var one int
	if missing, err := t.Row(qStillMissing, []any{o.need, o.id}, &one); err != nil || !missing {
		return false, err
	}
	if program, ok := strings.CutPrefix(o.need, programPrefix); ok {
		err = failUnannounced(t, o.id, program)
	} else {
		err = t.failWaiting(o.id, "job "+o.need+", which it needs, never came: nobody has put it within the needs_timeout of the document")
	}
	if err != nil {
		return false, err
	}
	_, err = t.endDependents(o.id, jobs.Failed)
	return true, err
}

func expired(r *Record, t *txn) bool { return !r.Expires.IsZero() && !r.Expires.After(t.now) }

// expire fails a queued or waiting job that has expired.
func expire(t *txn, r *Record) error {
	e := &jobs.Error{Class: jobs.ClassExpired, Message: "expired at " + r.Expires.Format(time.RFC3339) + " before it started"}
	if r.Attempt > 0 {
		e.Message = fmt.Sprintf("expired at %s before attempt %d started", r.Expires.Format(time.RFC3339), r.Attempt+1)
		if r.Error != nil {
			e.Message += "; attempt before: " + r.Error.Message
		}
	}
	if err := t.fail(r.ID, r.State, cleanError(e), eventlog.KindExpired); err != nil {
		return err
	}
	_, err := t.endDependents(r.ID, jobs.Failed)
	return err
}

// failUnannounced fails a job whose program no node has announced in time.
func failUnannounced(t *txn, id, program string) error {
	known, err := t.Strings(qProgramNames)
	if err != nil {
		return err
	}
	e := &jobs.Error{
		Class: jobs.ClassDocument, Pointer: "/program",
		Message: fmt.Sprintf("%s; it was waited for for %s", UnknownProgram(program, known), announceLimit),
	}
	return t.fail(id, jobs.Waiting, e, eventlog.KindFault)
}

// Fail ends a queued or waiting job that no node can handle. It does nothing for a job
// that runs or has ended. It returns ErrUnknown for an unknown id.
func (l *Ledger) Fail(ctx context.Context, id string, e jobs.Error) error {
	err := l.do(ctx, &op{name: "fail", weight: 1, run: func(t *txn) error {
		state, err := states.Of(t, id)
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
