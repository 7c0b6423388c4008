package publish

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// fenceMaxWait bounds the wait between two questions to the ledger.
const fenceMaxWait = 30 * time.Second

// ErrNothing is the error of Adopt if nothing is published yet.
var ErrNothing = errors.New("nothing is published yet")

// fence asks the ledger, until it answers, whether the attempt is still the newest of
// its job. If not it returns fault.ErrStale. The node may have been suspended for any
// time since it asked last.
func (p *Publication) fence(ctx context.Context) error {
	for try := 1; ; try++ {
		err := p.cfg.Ledger.Holds(ctx, p.record.ID, p.record.Attempt)
		switch {
		case err == nil:
			return nil
		case fault.IsStale(err):
			return fault.ErrStale
		case try&(try-1) == 0: // the first, second, fourth …
			p.logger.Error("a result waits for the ledger", "err", err)
		}
		if !retry.Sleep(ctx, min(p.cfg.Backoff.Wait(try), fenceMaxWait)) {
			return fault.OfNode("the ledger does not answer", err)
		}
	}
}

// Adopt takes the result that an earlier attempt created before it died. It returns
// ErrNothing if there is none. It creates the result again: that attempt may have died
// before it synced the folder. If the result is there, to create it is just the sync.
func (p *Publication) Adopt(ctx context.Context) error {
	document, _, err := p.readObject(ctx, store.ResultKey(p.record.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNothing
	}
	if err != nil {
		return fault.OfNode("the result of an earlier attempt cannot be read", err)
	}
	err = p.cfg.Store.Create(ctx, store.ResultKey(p.record.ID), document)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fault.OfNode("the result of an earlier attempt cannot be brought to the disk", err)
	}
	p.done = true
	return nil
}
