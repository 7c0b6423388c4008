package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

// Hook is the end of a job that a URL has yet to be told of, or whose document has
// yet to be put there.
type Hook struct {
	Kind    string // "" for a webhook, or KindDelivery
	ID      string // a UUID, the same however often it is tried
	URL     string
	Job     string
	Program string
	State   jobs.State
	Class   jobs.Outcome // of the job's error; OutcomeSucceeded where there is none
	Attempt int
	Ended   time.Time
	// Tries is how often it was tried before, Message what went wrong last.
	Tries   int
	Message string
}

const (
	maxHooks = 1000 // in one answer
	// maxHookWait is longer than any wait before another try: a next try that is
	// further away was set by a clock that was ahead.
	maxHookWait = 24 * time.Hour
	// keepHooks is how long a webhook is kept that nobody tells. A delivery stays
	// until it is given up, with an event.
	keepHooks = 7 * 24 * time.Hour
)

const hookColumns = "id, url, job, program, state, class, attempt, created, tries, message, kind"

var (
	qHook = engine.NewManyRows("INSERT INTO hooks ("+hookColumns+", next, owner) VALUES ", 13, "")
	// Two ranges of the index rather than one OR.
	qDueHooks = engine.NewQuery("SELECT " + hookColumns + ` FROM hooks WHERE id IN (
		SELECT id FROM hooks WHERE next <= ? UNION ALL SELECT id FROM hooks WHERE next > ? LIMIT ?) ORDER BY created, id`)
	qAnyHook   = engine.NewQuery("SELECT 1 WHERE EXISTS (SELECT 1 FROM hooks WHERE next <= ?) OR EXISTS (SELECT 1 FROM hooks WHERE next > ?)")
	qLeaseHook = engine.NewQuery("UPDATE hooks SET next = ?, owner = ? WHERE id = ?")
	qHookDone  = engine.NewQuery("DELETE FROM hooks WHERE id = ? AND created = ?")
	qHookAgain = engine.NewQuery("UPDATE hooks SET next = ?, owner = '', tries = tries + 1, message = ? WHERE id = ? AND created = ?")
	// The end that was told is not the newest one any more.
	qHookNewer  = engine.NewQuery("UPDATE hooks SET next = ?, owner = '' WHERE id = ?")
	qOldestHook = engine.NewQuery("SELECT created FROM hooks WHERE kind = '' ORDER BY created LIMIT 1")
	qPruneHooks = engine.NewQuery("DELETE FROM hooks WHERE id IN (SELECT id FROM hooks WHERE kind = '' AND created < ? ORDER BY created LIMIT 10000)")
)

// args are those of hookColumns, next and owner.
func (h *Hook) args() []any {
	return []any{
		h.ID, h.URL, h.Job, h.Program, string(h.State), string(h.Class), h.Attempt, engine.Micros(h.Ended),
		0, "", h.Kind, engine.Micros(h.Ended), "",
	}
}

// hook stages what URLs are to be told of the end of a job: the one that its
// document names, and the node's own.
func (t *txn) hook(e *end) {
	for i, url := range []string{e.webhook, t.l.webhook} {
		if url == "" || i == 1 && url == e.webhook {
			continue
		}
		t.staged.hooks = append(t.staged.hooks, Hook{
			ID: jobs.NewID(), URL: url, Job: e.job, Program: e.name, State: e.State, Class: e.Class,
			Attempt: e.attempt, Ended: t.now,
		})
	}
}

func (t *txn) writeHooks() error {
	var list []Hook
	for _, h := range t.all.hooks {
		if h.Kind != KindDelivery {
			list = append(list, h)
		} else if err := t.writeDelivery(&h); err != nil {
			return err
		}
	}
	return qHook.Split(len(list), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, 13*(to-from))
		for _, h := range list[from:to] {
			args = append(args, h.args()...)
		}
		_, err := t.w.Exec(q, args...)
		return err
	})
}

// DueHooks takes at most limit hooks that are to be tried now, the oldest first,
// for owner. Until lease has passed no other call returns them; after it they are
// due again, unless HookDone or HookFailed was called. Whoever is told may
// therefore be told twice.
func (l *Ledger) DueHooks(ctx context.Context, owner string, limit int, lease time.Duration) (list []Hook, err error) {
	if limit <= 0 || limit > maxHooks {
		limit = maxHooks
	}
	now := l.now()
	var one int
	due, err := l.reader.Row(ctx, qAnyHook, []any{engine.Micros(now), engine.Micros(now.Add(maxHookWait))}, &one)
	if err == nil && due {
		err = l.do(ctx, &op{name: "due-hooks", weight: limit, soft: true, run: func(t *txn) (err error) {
			list, err = t.dueHooks(engine.Clean(owner, engine.MaxName), limit, min(lease, maxHookWait))
			return err
		}})
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: due hooks: %w", err)
	}
	return list, nil
}

func (t *txn) dueHooks(owner string, limit int, lease time.Duration) (list []Hook, err error) {
	args := []any{engine.Micros(t.now), engine.Micros(t.now.Add(maxHookWait)), limit}
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
			_, err = t.Exec(qLeaseHook, engine.Micros(t.now.Add(lease)), owner, list[i].ID)
		}
	}
	return list, err
}

// HookDone forgets a hook whose URL has been told. Where the job has meanwhile come
// to another end, its delivery is due again.
func (l *Ledger) HookDone(ctx context.Context, h Hook) error {
	return l.settleHook(ctx, "hook-done", true, h, func(t *txn) error {
		if h.Kind != KindDelivery {
			return nil
		}
		return t.settleDelivery(h, false, "")
	})
}

// HookObsolete forgets a delivery of a job that has been retried: its next end brings
// another one.
func (l *Ledger) HookObsolete(ctx context.Context, h Hook) error {
	return l.settleHook(ctx, "hook-obsolete", true, h, func(*txn) error { return nil })
}

// HookFailed notes a try that has failed. The hook is due again at next, at most
// a day away; with giveUp it is forgotten, and an event says so.
func (l *Ledger) HookFailed(ctx context.Context, h Hook, next time.Time, message string, giveUp bool) error {
	message = engine.Clean(message, engine.MaxMessage)
	if giveUp {
		return l.giveUpHook(ctx, h, message)
	}
	err := l.do(ctx, &op{name: "hook-failed", weight: 1, soft: true, run: func(t *txn) error {
		if limit := t.now.Add(maxHookWait); next.After(limit) {
			next = limit
		}
		n, err := t.Exec(qHookAgain, engine.Micros(next), message, h.ID, engine.Micros(h.Ended))
		if err == nil && n == 0 {
			_, err = t.Exec(qHookNewer, engine.Micros(t.now), h.ID)
		}
		if h.Kind == KindDelivery {
			t.Changed(h.Job)
		}
		return err
	}})
	if err != nil {
		return fmt.Errorf("ledger: hook failed: %w", err)
	}
	return nil
}

// giveUpHook does not name the URL, whose query may be a secret: message does as
// far as that is good.
func (l *Ledger) giveUpHook(ctx context.Context, h Hook, message string) error {
	return l.settleHook(ctx, "hook-failed", false, h, func(t *txn) error {
		if h.Kind == KindDelivery {
			h.Tries++
			t.note(eventlog.KindDeliveryGivenUp, h.Job, "", "the result was not delivered; it stays at its node: "+message)
			return t.settleDelivery(h, true, message)
		}
		t.note(eventlog.KindHookGivenUp, h.Job, "", "a webhook was not told of the end: "+message)
		return nil
	})
}

// settleHook takes a hook out, and does then what its end asks for. One that has been
// replaced by a newer end meanwhile stays, and is due.
func (l *Ledger) settleHook(ctx context.Context, name string, soft bool, h Hook, then func(*txn) error) error {
	err := l.do(ctx, &op{name: name, weight: 1, soft: soft, run: func(t *txn) error {
		n, err := t.Exec(qHookDone, h.ID, engine.Micros(h.Ended))
		switch {
		case err != nil:
			return err
		case n > 0:
			return then(t)
		}
		_, err = t.Exec(qHookNewer, engine.Micros(t.now), h.ID)
		return err
	}})
	if err != nil {
		return fmt.Errorf("ledger: %s: %w", name, err)
	}
	return nil
}
