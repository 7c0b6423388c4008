package ledger

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Replayed is the answer to a request that carried a key.
type Replayed struct {
	// Digest is of the request, so that another one under the same key is noticed.
	Digest []byte
	Status int // of HTTP
	Body   []byte
}

const (
	// KeepReplays is how long answers are kept.
	KeepReplays = 24 * time.Hour
	maxReplays  = 50_000 // answers that are kept; the newest
	maxReplay   = 32 << 10
	maxKey      = 512
)

var (
	qReplay       = engine.NewQuery("SELECT digest, status, body FROM replays WHERE key = ? AND at >= ?")
	qRemember     = engine.NewQuery("INSERT INTO replays (key, at, digest, status, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING")
	qForgetReplay = engine.NewQuery("DELETE FROM replays WHERE key = ? AND at < ?")
	qOldestReplay = engine.NewQuery("SELECT at FROM replays ORDER BY at LIMIT 1")
	qReplayPast   = engine.NewQuery("SELECT at FROM replays ORDER BY at DESC LIMIT 1 OFFSET ?")
	qPruneReplays = engine.NewQuery("DELETE FROM replays WHERE key IN (SELECT key FROM replays WHERE at < ? ORDER BY at LIMIT 10000)")
)

// Replay returns the answer that was remembered under a key in the last 24 hours.
func (l *Ledger) Replay(ctx context.Context, key string) (r Replayed, found bool, err error) {
	defer l.watch("replay", time.Now(), &err)
	since := l.now().Add(-KeepReplays)
	found, err = l.reader.Row(ctx, qReplay, []any{key, engine.Micros(since)}, &r.Digest, &r.Status, &r.Body)
	if err != nil {
		return Replayed{}, false, fmt.Errorf("ledger: replay: %w", err)
	}
	return r, found, nil
}

// Remember keeps an answer under a key for 24 hours, or until 50,000 newer ones
// are there. The first answer stays. ErrConflict where that was to another
// request; ErrTooBig for a key above 512 bytes or a body above 32 KiB.
func (l *Ledger) Remember(ctx context.Context, key string, r Replayed) error {
	if len(key) > maxKey || len(r.Body) > maxReplay || len(r.Digest) > maxKey {
		return fmt.Errorf("ledger: remember: %w", ErrTooBig)
	}
	err := l.do(ctx, &op{name: "remember", weight: 1, run: func(t *txn) error { return t.remember(key, &r) }})
	if err != nil {
		return fmt.Errorf("ledger: remember: %w", err)
	}
	return nil
}

func (t *txn) remember(key string, r *Replayed) error {
	since := engine.Micros(t.now.Add(-KeepReplays))
	if _, err := t.Exec(qForgetReplay, key, since); err != nil {
		return err
	}
	n, err := t.Exec(qRemember, key, engine.Micros(t.now), engine.NotNil(r.Digest), r.Status, engine.NotNil(r.Body))
	if err != nil || n > 0 {
		return err
	}
	var old Replayed
	if _, err := t.Row(qReplay, []any{key, since}, &old.Digest, &old.Status, &old.Body); err != nil {
		return err
	}
	if !bytes.Equal(old.Digest, r.Digest) {
		return ErrConflict
	}
	return nil
}
