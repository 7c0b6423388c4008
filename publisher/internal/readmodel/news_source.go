package readmodel

import (
	"context"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// NewsSource reads the news for [live.Broker] from the ledger.
type NewsSource struct{ Ledger *ledger.Ledger }

// Jobs returns news of those of the jobs that are known.
func (s NewsSource) Jobs(ctx context.Context, ids []string) ([]api.JobNews, error) {
	found, err := s.Ledger.GetMany(ctx, ids)
	list := make([]api.JobNews, 0, len(found))
	for _, rec := range found {
		list = append(list, newsOf(rec))
	}
	return list, err
}

func newsOf(rec ledger.Record) api.JobNews {
	n := api.JobNews{ID: rec.ID, Program: rec.Program, State: rec.State, Node: rec.Node, Attempt: rec.Attempt, Updated: rec.Updated}
	if rec.State == jobs.Running {
		n.Progress = rec.Live.Progress
		if rec.Live.Updated.After(n.Updated) {
			n.Updated = rec.Live.Updated
		}
	}
	return n
}

// EventsAfter returns at most limit events with greater ids, in the order of ids.
func (s NewsSource) EventsAfter(ctx context.Context, id string, limit int) ([]api.Event, error) {
	found, err := s.Ledger.Events.After(ctx, id, limit)
	return EventsOf(found), err
}

// Nodes returns every life of every node, and first the queue as a node without a name.
func (s NewsSource) Nodes(ctx context.Context) ([]live.Node, error) {
	nodes, err := s.Ledger.Nodes.List(ctx)
	if err != nil {
		return nil, err
	}
	drains, err := s.Ledger.Nodes.Drains(ctx)
	if err != nil {
		return nil, err
	}
	controls, err := s.Ledger.Nodes.Controls(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, d := range drains {
		out[d.Node] = true
	}
	list := []live.Node{{News: api.NodeNews{Alive: true, Drained: out[""]}}}
	for _, n := range nodes {
		list = append(list, live.Node{Heartbeat: n.Beat, News: api.NodeNews{
			Name: n.Name, Instance: n.Instance, Alive: n.Alive, Drained: out[n.Name], Paused: controls[n.Name].Paused,
			Slots: n.Slots, Left: n.Left,
		}})
	}
	return list, nil
}
