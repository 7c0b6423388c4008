// Package sessions records in the ledger which logins a person has ended.
package sessions

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var (
	qEndSession  = engine.NewQuery("INSERT INTO ended_sessions (session, expires) VALUES (?, ?) ON CONFLICT (session) DO NOTHING")
	qOldSessions = engine.NewQuery("DELETE FROM ended_sessions WHERE expires < ?")
	qEnded       = engine.NewQuery("SELECT 1 FROM ended_sessions WHERE session = ?")
)

// Sessions are the logins that a person ended.
type Sessions struct{ ledger engine.Access }

// New returns the ended logins of a ledger.
func New(ledger engine.Access) *Sessions { return &Sessions{ledger} }

// End records that a session is invalid on every node. expires is when it would have
// ended by itself. The record is kept until then.
func (s *Sessions) End(ctx context.Context, session string, expires time.Time) error {
	err := s.ledger.Do(ctx, engine.Op{Name: "end-session", Weight: 1, Run: func(t engine.Tx) error {
		if _, err := t.Exec(qOldSessions, engine.Micros(t.Now())); err != nil {
			return err
		}
		_, err := t.Exec(qEndSession, engine.Clean(session, engine.MaxName), engine.Micros(expires))
		return err
	}})
	return engine.Wrap("end session", err)
}

// Ended reports whether End was called for a session.
func (s *Sessions) Ended(ctx context.Context, session string) (ended bool, err error) {
	var one int
	if ended, err = s.ledger.Row(ctx, qEnded, []any{session}, &one); err != nil {
		return false, fmt.Errorf("ledger: session: %w", err)
	}
	return ended, nil
}
