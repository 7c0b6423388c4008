package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

const (
	maxHooks = 1000 // in one answer
	// maxHookWait is longer than any wait before another try. A later try was set by a
	// clock that was ahead, and is due at once.
	maxHookWait = 24 * time.Hour
	// keepHooks is how long an unsent webhook is kept. A delivery stays until
	// it is given up.
	keepHooks = 7 * 24 * time.Hour
)

var (
	qHook = engine.NewManyRows("INSERT INTO hooks ("+hookColumns+", next, owner) VALUES ", 13, "")
	// Two ranges of the index are faster than one OR.
	qDueHooks = engine.NewQuery("SELECT " + hookColumns + ` FROM hooks WHERE id IN (
		SELECT id FROM hooks WHERE next <= ? UNION ALL SELECT id FROM hooks WHERE next > ? LIMIT ?) ORDER BY created, id`)
	qAnyHook   = engine.NewQuery("SELECT 1 WHERE EXISTS (SELECT 1 FROM hooks WHERE next <= ?) OR EXISTS (SELECT 1 FROM hooks WHERE next > ?)")
	qLeaseHook = engine.NewQuery("UPDATE hooks SET next = ?, owner = ? WHERE id = ?")
	qHookDone  = engine.NewQuery("DELETE FROM hooks WHERE id = ? AND created = ?")
	qHookAgain = engine.NewQuery("UPDATE hooks SET next = ?, owner = '', tries = tries + 1, message = ? WHERE id = ? AND created = ?")
	// The end that was sent is not the newest any more.
	qHookNewer  = engine.NewQuery("UPDATE hooks SET next = ?, owner = '' WHERE id = ?")
	qOldestHook = engine.NewQuery("SELECT created FROM hooks WHERE kind = '' ORDER BY created LIMIT 1")
	qPruneHooks = engine.NewQuery("DELETE FROM hooks WHERE id IN (SELECT id FROM hooks WHERE kind = '' AND created < ? ORDER BY created LIMIT 10000)")
)

// Write writes hooks that Of returned.
func (o *Outbox) Write(t engine.Tx, hooks []Hook) error {
	var list []Hook
	for _, h := range hooks {
		if h.Kind != KindDelivery {
			list = append(list, h)
		} else if err := o.writeDelivery(t, &h); err != nil {
			return err
		}
	}
	return qHook.Split(len(list), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, 13*(to-from))
		for _, h := range list[from:to] {
			args = append(args, h.args()...)
		}
		return t.Queue(q, args...)
	})
}

// Due takes at most limit hooks that are due, oldest first, for owner. Other calls do
// not return them until the lease has passed. Then they are due again, unless Done or
// Failed was called. A URL may therefore be called twice.
func (o *Outbox) Due(ctx context.Context, owner string, limit int, lease time.Duration) (list []Hook, err error) {
	if limit <= 0 || limit > maxHooks {
		limit = maxHooks
	}
	now := o.ledger.Now()
	var one int
	due, err := o.ledger.Row(ctx, qAnyHook, []any{engine.Micros(now), engine.Micros(now.Add(maxHookWait))}, &one)
	if err == nil && due {
		err = o.ledger.Do(ctx, engine.Op{Name: "due-hooks", Weight: limit, Soft: true, Run: func(t engine.Tx) (err error) {
			list, err = dueHooks(t, engine.Clean(owner, engine.MaxName), limit, min(lease, maxHookWait))
			return err
		}})
	}
	if err != nil {
		return nil, engine.Wrap("due hooks", err)
	}
	return list, nil
}

func dueHooks(t engine.Tx, owner string, limit int, lease time.Duration) (list []Hook, err error) {
	args := []any{engine.Micros(t.Now()), engine.Micros(t.Now().Add(maxHookWait)), limit}
	err = t.Each(qDueHooks, args, func(r engine.Row) error {
		var h Hook
		var ended int64
		err := r.Scan(&h.ID, &h.URL, &h.Job, &h.Program, (*string)(&h.State), (*string)(&h.Class), &h.Attempt, &ended, &h.Tries, &h.Message, &h.Kind)
		h.Ended = engine.FromMicros(ended)
		list = append(list, h)
		return err
	})
	for i := range list {
		if err == nil {
			_, err = t.Exec(qLeaseHook, engine.Micros(t.Now().Add(lease)), owner, list[i].ID)
		}
	}
	return list, err
}

// Done deletes a hook that was sent. If the job has ended again meanwhile, its delivery
// is due again.
func (o *Outbox) Done(ctx context.Context, h Hook) error {
	return o.remove(ctx, "hook-done", true, h, func(t engine.Tx) error {
		if h.Kind != KindDelivery {
			return nil
		}
		return endDelivery(t, h, false, "")
	})
}

// Obsolete deletes the delivery of a job that was retried. The next end creates another
// one.
func (o *Outbox) Obsolete(ctx context.Context, h Hook) error {
	return o.remove(ctx, "hook-obsolete", true, h, func(engine.Tx) error { return nil })
}

// Unneeded deletes a delivery to a URL that the pool itself serves, with an event.
func (o *Outbox) Unneeded(ctx context.Context, h Hook) error {
	return o.remove(ctx, "hook-unneeded", true, h, func(t engine.Tx) error {
		t.Note("", eventlog.KindDeliveryOwnURL, h.Job, "", "the result is not delivered: the pool itself serves its URL")
		t.Changed(h.Job)
		return nil
	})
}

// Failed records a failed try. The hook is due again at next, at most a day away. With
// giveUp it is deleted, and an event says so.
func (o *Outbox) Failed(ctx context.Context, h Hook, next time.Time, message string, giveUp bool) error {
	message = engine.Clean(message, engine.MaxMessage)
	if giveUp {
		return o.giveUp(ctx, h, message)
	}
	err := o.ledger.Do(ctx, engine.Op{Name: "hook-failed", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		if limit := t.Now().Add(maxHookWait); next.After(limit) {
			next = limit
		}
		n, err := t.Exec(qHookAgain, engine.Micros(next), message, h.ID, engine.Micros(h.Ended))
		if err == nil && n == 0 {
			_, err = t.Exec(qHookNewer, engine.Micros(t.Now()), h.ID)
		}
		if h.Kind == KindDelivery {
			t.Changed(h.Job)
		}
		return err
	}})
	return engine.Wrap("hook failed", err)
}

// giveUp does not name the URL, because its query may be a secret.
func (o *Outbox) giveUp(ctx context.Context, h Hook, message string) error {
	return o.remove(ctx, "hook-failed", false, h, func(t engine.Tx) error {
		if h.Kind == KindDelivery {
			h.Tries++
			t.Note("", eventlog.KindDeliveryGivenUp, h.Job, "", "the result was not delivered; it stays at its node: "+message)
			return endDelivery(t, h, true, message)
		}
		t.Note("", eventlog.KindHookGivenUp, h.Job, "", "a webhook was not told of the end: "+message)
		return nil
	})
}

// remove deletes a hook and then calls then. A hook that a newer end has replaced stays
// and is due.
func (o *Outbox) remove(ctx context.Context, name string, soft bool, h Hook, then func(engine.Tx) error) error {
	err := o.ledger.Do(ctx, engine.Op{Name: name, Weight: 1, Soft: soft, Run: func(t engine.Tx) error {
		n, err := t.Exec(qHookDone, h.ID, engine.Micros(h.Ended))
		switch {
		case err != nil:
			return err
		case n > 0:
			return then(t)
		}
		_, err = t.Exec(qHookNewer, engine.Micros(t.Now()), h.ID)
		return err
	}})
	if err != nil {
		return fmt.Errorf("ledger: %s: %w", name, err)
	}
	return nil
}

// Prune deletes webhooks that have stayed unsent for longer than keepHooks.
func (o *Outbox) Prune(ctx context.Context) error {
	return o.ledger.Prune(ctx, []engine.Old{{Oldest: qOldestHook, Delete: qPruneHooks, Keep: keepHooks, Step: 24 * time.Hour}})
}
