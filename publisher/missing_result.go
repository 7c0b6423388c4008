package publisher

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/published"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// resultMissing reports whether the result of a success is lost. While the store is not
// that of the ledger, none of its objects is lost: the error says so.
func (p *Publisher) resultMissing(ctx context.Context, id string) (bool, error) {
	found, err := published.New(p.cfg.Ledger.Results, p.cfg.Store).Exists(ctx, id, func(ctx context.Context) error {
		if p.cfg.Apart == nil {
			return nil
		}
		if err := p.cfg.Apart(ctx); err != nil {
			return httpio.Unavailable("the store cannot be asked for results: " + err.Error())
		}
		return nil
	})
	return !found && err == nil, err
}
