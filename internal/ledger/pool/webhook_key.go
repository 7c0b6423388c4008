package pool

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const webhookKey = "webhook-key" // in secrets

var (
	qKeepSecret = engine.NewQuery("INSERT INTO secrets (name, secret) VALUES (?, ?) ON CONFLICT (name) DO NOTHING")
	qSecret     = engine.NewQuery("SELECT secret FROM secrets WHERE name = ?")
)

// WebhookKey returns the text of the key that signs the pool's webhooks. If there is none
// yet, it stores offer, so that the first node decides.
func (p *Pool) WebhookKey(ctx context.Context, offer string) (key string, err error) {
	err = p.ledger.Do(ctx, engine.Op{Name: "webhook-key", Weight: 1, Run: func(t engine.Tx) error {
		if _, err := t.Exec(qKeepSecret, webhookKey, offer); err != nil {
			return err
		}
		_, err := t.Row(qSecret, []any{webhookKey}, &key)
		return err
	}})
	return key, engine.Wrap("webhook key", err)
}
