package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var (
	qSubmitter   = engine.NewQuery("SELECT submitter FROM jobs WHERE id = ?")
	qEndSession  = engine.NewQuery("INSERT INTO ended_sessions (session, expires) VALUES (?, ?) ON CONFLICT (session) DO NOTHING")
	qOldSessions = engine.NewQuery("DELETE FROM ended_sessions WHERE expires < ?")
	qEnded       = engine.NewQuery("SELECT 1 FROM ended_sessions WHERE session = ?")
)

// Submitter returns the name of the token that submitted a job; empty where
// the job came by the inbox or no token was asked for. ErrUnknown.
func (l *Ledger) Submitter(ctx context.Context, id string) (name string, err error) {
	defer l.watch("submitter", time.Now(), &err)
	found, err := l.reader.Row(ctx, qSubmitter, []any{id}, &name)
	if err == nil && !found {
		err = ErrUnknown
	}
	if err != nil {
		return "", fmt.Errorf("ledger: submitter: %w", err)
	}
	return name, nil
}

// EndSession records that a session is of no more use, on every node. expires
// is when it would have ended by itself; the record is kept until then.
func (l *Ledger) EndSession(ctx context.Context, session string, expires time.Time) error {
	err := l.do(ctx, &op{name: "end-session", weight: 1, run: func(t *txn) error {
		if _, err := t.Exec(qOldSessions, engine.Micros(t.now)); err != nil {
			return err
		}
		_, err := t.Exec(qEndSession, engine.Clean(session, engine.MaxName), engine.Micros(expires))
		return err
	}})
	if err != nil {
		return fmt.Errorf("ledger: end session: %w", err)
	}
	return nil
}

// SessionEnded reports whether EndSession was called for a session.
func (l *Ledger) SessionEnded(ctx context.Context, session string) (ended bool, err error) {
	var one int
	if ended, err = l.reader.Row(ctx, qEnded, []any{session}, &one); err != nil {
		return false, fmt.Errorf("ledger: session: %w", err)
	}
	return ended, nil
}
