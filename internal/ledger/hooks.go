package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Hook is the end of a job that a URL has yet to be told of.
type Hook struct {
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
	// keepHooks is how long a hook is kept that nobody delivers.
	keepHooks = 7 * 24 * time.Hour
)

const hookColumns = "id, url, job, program, state, class, attempt, created, tries, message"

var (
	qHook = newManyRows("INSERT INTO hooks ("+hookColumns+", next, owner) VALUES ", 12, "")
	// Two ranges of the index rather than one OR.
	qDueHooks = newQuery("SELECT " + hookColumns + ` FROM hooks WHERE id IN (
		SELECT id FROM hooks WHERE next <= ? UNION ALL SELECT id FROM hooks WHERE next > ? LIMIT ?) ORDER BY created, id`)
	qAnyHook     = newQuery("SELECT 1 WHERE EXISTS (SELECT 1 FROM hooks WHERE next <= ?) OR EXISTS (SELECT 1 FROM hooks WHERE next > ?)")
	qLeaseHook   = newQuery("UPDATE hooks SET next = ?, owner = ? WHERE id = ?")
	qHookDone    = newQuery("DELETE FROM hooks WHERE id = ?")
	qHookAgain   = newQuery("UPDATE hooks SET next = ?, owner = '', tries = tries + 1, message = ? WHERE id = ?")
	qHookGivenUp = newQuery("DELETE FROM hooks WHERE id = ? RETURNING job")
	qOldestHook  = newQuery("SELECT created FROM hooks ORDER BY created LIMIT 1")
	qPruneHooks  = newQuery("DELETE FROM hooks WHERE id IN (SELECT id FROM hooks WHERE created < ? ORDER BY created LIMIT 10000)")
)

// hook stages what URLs are to be told of the end of a job: the one that its
// document names, and the node's own.
func (t *txn) hook(e *end) {
	for i, url := range []string{e.webhook, t.l.webhook} {
		if url == "" || i == 1 && url == e.webhook {
			continue
		}
		t.staged.hooks = append(t.staged.hooks, Hook{
			ID: jobs.NewID(), URL: url, Job: e.job, Program: e.program, State: e.state, Class: e.class,
			Attempt: e.attempt, Ended: t.now,
		})
	}
}

func (t *txn) writeHooks() error {
	return qHook.split(len(t.all.hooks), func(q *query, from, to int) error {
		args := make([]any, 0, 12*(to-from))
		for _, h := range t.all.hooks[from:to] {
			args = append(args, h.ID, h.URL, h.Job, h.Program, string(h.State), string(h.Class), h.Attempt, micros(h.Ended),
				0, "", micros(h.Ended), "")
		}
		_, err := t.w.exec(q, args...)
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
	due, err := l.reader.row(ctx, qAnyHook, []any{micros(now), micros(now.Add(maxHookWait))}, &one)
	if err == nil && due {
		err = l.do(ctx, &op{name: "due-hooks", weight: limit, soft: true, run: func(t *txn) (err error) {
			list, err = t.dueHooks(clean(owner, maxName), limit, min(lease, maxHookWait))
			return err
		}})
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: due hooks: %w", err)
	}
	return list, nil
}

func (t *txn) dueHooks(owner string, limit int, lease time.Duration) (list []Hook, err error) {
	args := []any{micros(t.now), micros(t.now.Add(maxHookWait)), limit}
	err = t.each(qDueHooks, args, func(r *sql.Rows) error {
		var h Hook
		var ended int64
		err := r.Scan(&h.ID, &h.URL, &h.Job, &h.Program, (*string)(&h.State), (*string)(&h.Class), &h.Attempt, &ended, &h.Tries, &h.Message)
		h.Ended = fromMicros(ended)
		list = append(list, h)
		return err
	})
	for i := range list {
		if err == nil {
			_, err = t.exec(qLeaseHook, micros(t.now.Add(lease)), owner, list[i].ID)
		}
	}
	return list, err
}

// HookDone forgets a hook whose URL has been told.
func (l *Ledger) HookDone(ctx context.Context, id string) error {
	err := l.do(ctx, &op{name: "hook-done", weight: 1, soft: true, run: func(t *txn) error {
		_, err := t.exec(qHookDone, id)
		return err
	}})
	if err != nil {
		return fmt.Errorf("ledger: hook done: %w", err)
	}
	return nil
}

// HookFailed notes a try that has failed. The hook is due again at next, at most
// a day away; with giveUp it is forgotten, and an event says so.
func (l *Ledger) HookFailed(ctx context.Context, id string, next time.Time, message string, giveUp bool) error {
	message = clean(message, maxMessage)
	err := l.do(ctx, &op{name: "hook-failed", weight: 1, soft: !giveUp, run: func(t *txn) error {
		if giveUp {
			return t.giveUpHook(id, message)
		}
		if limit := t.now.Add(maxHookWait); next.After(limit) {
			next = limit
		}
		_, err := t.exec(qHookAgain, micros(next), message, id)
		return err
	}})
	if err != nil {
		return fmt.Errorf("ledger: hook failed: %w", err)
	}
	return nil
}

// giveUpHook does not name the URL, whose query may be a secret: message does as
// far as that is good.
func (t *txn) giveUpHook(id, message string) error {
	var job string
	found, err := t.change(qHookGivenUp, []any{id}, &job)
	if found {
		t.note(KindHookGivenUp, job, "", "a webhook was not told of the end: "+message)
	}
	return err
}
