package results

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

// forgetLost drops all results if a job was queued again since the last call because its
// result is lost. newest is the last event of this kind that was seen, or nil. Which jobs
// another process has changed is not known, and such losses are rare.
func (docs *Documents) forgetLost(ctx context.Context, newest **string) error {
	page, err := docs.ledger.Events.Search(ctx, eventlog.Filter{Kind: eventlog.KindResultMissing, Limit: 1})
	if err != nil {
		return err
	}
	id := ""
	if len(page.Events) > 0 {
		id = page.Events[0].ID
	}
	if *newest != nil && **newest != id {
		docs.cache.clear()
		docs.store.Copies().Clear()
	}
	*newest = &id
	return nil
}
