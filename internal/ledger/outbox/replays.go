package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Replayed is the answer to a request with a key.
type Replayed struct {
	// Digest is the hash of the request. It detects another request with the same key.
	Digest []byte
	Status int // HTTP status
	Body   []byte
}

// ErrConflict is returned for a key that is known with another request.
var ErrConflict = errors.New("key is known with another request")

// Replays stores answers to requests with keys.
type Replays struct{ ledger engine.Access }

// NewReplays returns the replays of a ledger.
func NewReplays(ledger engine.Access) *Replays { return &Replays{ledger} }

const (
	// KeepReplays is how long answers are kept.
	KeepReplays = 24 * time.Hour
	maxReplays  = 50_000 // the newest answers are kept
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

// Replay returns the answer stored under a key in the last 24 hours.
func (p *Replays) Replay(ctx context.Context, key string) (r Replayed, found bool, err error) {
	defer p.ledger.Observe("replay", time.Now(), &err)
	since := p.ledger.Now().Add(-KeepReplays)
	found, err = p.ledger.Row(ctx, qReplay, []any{key, engine.Micros(since)}, &r.Digest, &r.Status, &r.Body)
	if err != nil {
		return Replayed{}, false, fmt.Errorf("ledger: replay: %w", err)
	}
	return r, found, nil
}

// Remember stores an answer under a key for 24 hours, or until there are 50,000 newer
// ones. The first answer stays. It returns ErrConflict if that was for another request,
// and engine.ErrTooBig for a key above 512 bytes or a body above 32 KiB.
func (p *Replays) Remember(ctx context.Context, key string, r Replayed) error {
	if len(key) > maxKey || len(r.Body) > maxReplay || len(r.Digest) > maxKey {
		return fmt.Errorf("ledger: remember: %w", engine.ErrTooBig)
	}
	err := p.ledger.Do(ctx, engine.Op{Name: "remember", Weight: 1, Run: func(t engine.Tx) error { return remember(t, key, &r) }})
	return engine.Wrap("remember", err)
}

func remember(t engine.Tx, key string, r *Replayed) error {
	since := engine.Micros(t.Now().Add(-KeepReplays))
	if _, err := t.Exec(qForgetReplay, key, since); err != nil {
		return err
	}
	n, err := t.Exec(qRemember, key, engine.Micros(t.Now()), engine.NotNil(r.Digest), r.Status, engine.NotNil(r.Body))
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

// Prune deletes answers that are too old or too many.
func (p *Replays) Prune(ctx context.Context) error {
	err := p.ledger.Prune(ctx, []engine.Old{{Oldest: qOldestReplay, Delete: qPruneReplays, Keep: KeepReplays, Step: time.Hour}})
	if err != nil {
		return err
	}
	var past int64
	many, err := p.ledger.Row(ctx, qReplayPast, []any{maxReplays}, &past)
	if err != nil || !many {
		return err
	}
	return p.ledger.Rollup(ctx, []*engine.Query{qPruneReplays}, past+1)
}
