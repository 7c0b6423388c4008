package readmodel

import (
	"context"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

func EventsOf(list []eventlog.Event) []api.Event {
	out := make([]api.Event, 0, len(list))
	for _, e := range list {
		out = append(out, api.Event{ID: e.ID, At: e.At, Kind: e.Kind, Job: e.Job, Node: e.Node, By: e.By, Message: e.Message})
	}
	return out
}

// Page returns the events that match f, newest first.
func (p *Events) Page(ctx context.Context, f eventlog.Filter) (api.EventPage, error) {
	found, err := p.cfg.Ledger.Events.Search(ctx, f)
	return api.EventPage{Events: EventsOf(found.Events), Next: found.Next, Back: found.Back}, err
}

type Events struct {
	cfg Config
}

func NewEvents(cfg Config) *Events { return &Events{cfg: cfg} }
