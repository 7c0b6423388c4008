package ledger

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/runnerbean/runnerbean/jobs"
)

var (
	qCancel = newQuery(`UPDATE jobs SET state = 'cancelled', finished = ?, updated = ?, reason = '', error = ?
		WHERE id = ? AND state = ?`)
	qAskCancel    = newQuery("UPDATE jobs SET cancel_requested = 1 WHERE id = ? AND state = 'running' AND cancel_requested = 0")
	qCancelWanted = newQuery("SELECT id FROM jobs WHERE state = 'running' AND cancel_requested = 1 AND instance = ?")
)

// Cancel ends a job that does not run, and asks for the end of one that does:
// then the record says CancelRequested. ErrFinal, with the record, for a job
// that has ended; ErrUnknown. by names who wants it.
func (l *Ledger) Cancel(ctx context.Context, id, by string) (Record, error) {
	by = clean(by, maxName)
	var r Record
	err := l.do(ctx, &op{weight: 1, run: func(t *txn) (err error) {
		r, err = t.cancel(id, by)
		return err
	}})
	if err != nil {
		return r, fmt.Errorf("ledger: cancel: %w", err)
	}
	return r, nil
}

func (t *txn) cancel(id, by string) (Record, error) {
	r, found, err := t.get(id)
	switch {
	case err != nil:
		return Record{}, err
	case !found:
		return Record{}, ErrUnknown
	case r.State.Final():
		return r, ErrFinal
	case r.State == jobs.Running:
		err = t.askCancel(&r, by)
	default:
		err = t.cancelIdle(&r, by)
	}
	if err != nil {
		return Record{}, err
	}
	r, _, err = t.get(id)
	return r, err
}

func (t *txn) askCancel(r *Record, by string) error {
	n, err := t.exec(qAskCancel, r.ID)
	if n > 0 {
		t.touched(r.ID)
		t.note(KindCancelRequested, r.ID, r.Node, byText(by))
	}
	return err
}

func (t *txn) cancelIdle(r *Record, by string) error {
	e := &jobs.Error{Class: jobs.OutcomeCancelled, Message: "cancelled" + byText(by)}
	n, err := t.exec(qCancel, micros(t.now), micros(t.now), errorText(e), r.ID, string(r.State))
	if err != nil || n == 0 {
		return err
	}
	t.count(r.State, jobs.Cancelled)
	t.touched(r.ID)
	t.note(KindCancelled, r.ID, "", byText(by))
	if _, err := t.exec(qDropNeeds, r.ID); err != nil {
		return err
	}
	_, err = t.ends(r.ID, jobs.Cancelled)
	return err
}

func byText(by string) string {
	if by == "" {
		return ""
	}
	return " by " + by
}

// Cancelling lists the running jobs of an instance that are to be cancelled.
func (l *Ledger) Cancelling(ctx context.Context, instance string) (ids []string, err error) {
	err = l.reader.each(ctx, qCancelWanted, []any{instance}, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: cancelling: %w", err)
	}
	return ids, nil
}
