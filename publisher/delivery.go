package publisher

import (
	"context"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// EndDocument is the document of a job that has ended without a result, as its result
// URL answers.
func EndDocument(rec ledger.Record) ([]byte, error) {
	return httpio.Marshal(summary(rec, rec.Finished))
}

// delivery is how it stands with a job's delivery; nil where there is none.
func (p *Publisher) delivery(ctx context.Context, id string) (*api.Delivery, error) {
	d, err := p.cfg.Ledger.Outbox.Delivery(ctx, id)
	if err != nil || d.State == "" {
		return nil, err
	}
	return &api.Delivery{
		State: d.State, URL: outbound.Redact(d.URL), At: d.At, Next: d.Next, Tries: d.Tries, Message: d.Message,
	}, nil
}
