package retention

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

var (
	// A time that is too far ahead was written by a clock that was wrong.
	qTakeDuty = engine.NewQuery(`INSERT INTO retention (one, owner, until) VALUES (1, ?, ?)
		ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, until = excluded.until
		WHERE retention.owner = excluded.owner OR retention.until <= ? OR retention.until > ?`)
	qRelease = engine.NewQuery("UPDATE retention SET until = 0 WHERE one = 1 AND owner = ?")
	qDuty    = engine.NewQuery("SELECT owner, until FROM retention WHERE one = 1")
)

// Take takes or renews the duty to delete for the pool. It reports whether owner has it
// for the span from now on. Two nodes may have it where clocks differ, which costs work
// and does no harm.
func (r *Retention) Take(ctx context.Context, owner string, span time.Duration) (mine bool, err error) {
	owner = engine.Clean(owner, engine.MaxName)
	now := r.ledger.Now()
	var other string
	var until int64
	found, err := r.ledger.Row(ctx, qDuty, nil, &other, &until)
	if err == nil && found && other == owner && until > engine.Micros(now.Add(span/2)) && until <= engine.Micros(now.Add(span)) {
		return true, nil
	}
	if err != nil || found && other != owner && until > engine.Micros(now) && until <= engine.Micros(now.Add(span)) {
		return false, engine.Wrap("retention duty", err)
	}
	err = r.ledger.Do(ctx, engine.Op{Name: "retention-duty", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		now := t.Now()
		n, err := t.Exec(qTakeDuty, owner, engine.Micros(now.Add(span)), engine.Micros(now), engine.Micros(now.Add(span)))
		mine = n > 0
		return err
	}})
	return mine, engine.Wrap("retention duty", err)
}

// Release ends the duty of an owner, if it has it, so that another can take it at once.
func (r *Retention) Release(ctx context.Context, owner string) error {
	err := r.ledger.Do(ctx, engine.Op{Name: "retention-duty", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		_, err := t.Exec(qRelease, engine.Clean(owner, engine.MaxName))
		return err
	}})
	return engine.Wrap("retention duty", err)
}
