package publisher

import (
	"context"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// ledgerSource reads the feed from the ledger.
type ledgerSource struct{ ledger *ledger.Ledger }

func (s ledgerSource) records(ctx context.Context, ids []string) ([]ledger.Record, error) {
	return s.ledger.GetMany(ctx, ids)
}

func (s ledgerSource) eventsAfter(ctx context.Context, id string, limit int) ([]api.Event, error) {
	found, err := s.ledger.Events.After(ctx, id, limit)
	return readmodel.EventsOf(found), err
}

func (s ledgerSource) nodeNews(ctx context.Context) ([]seenNode, error) {
	nodes, err := s.ledger.Nodes.List(ctx)
	if err != nil {
		return nil, err
	}
	drains, err := s.ledger.Nodes.Drains(ctx)
	if err != nil {
		return nil, err
	}
	controls, err := s.ledger.Nodes.Controls(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, d := range drains {
		out[d.Node] = true
	}
	list := []seenNode{{news: api.NodeNews{Alive: true, Drained: out[""]}}}
	for _, n := range nodes {
		list = append(list, seenNode{beat: n.Beat, news: api.NodeNews{
			Name: n.Name, Instance: n.Instance, Alive: n.Alive, Drained: out[n.Name], Paused: controls[n.Name].Paused,
			Slots: n.Slots, Left: n.Left,
		}})
	}
	return list, nil
}
