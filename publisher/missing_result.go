package publisher

import (
	"context"
	"errors"
	"io/fs"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// resultMissing reports whether the store has lost the result of a success. While the
// store is not that of the ledger, nothing is lost: the error says so.
func (p *Publisher) resultMissing(ctx context.Context, id string) (bool, error) {
	if p.cfg.Apart != nil {
		if err := p.cfg.Apart(ctx); err != nil {
			return false, httpio.Unavailable("the store cannot be asked for results: " + err.Error())
		}
	}
	object, err := p.cfg.Store.Open(ctx, store.ResultKey(id))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, object.Close()
}
