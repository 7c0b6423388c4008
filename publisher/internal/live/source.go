package live

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/api"
)

// Source is where the news is read from.
type Source interface {
	// Jobs returns news of those of the jobs that are known.
	Jobs(ctx context.Context, ids []string) ([]api.JobNews, error)
	// EventsAfter returns at most limit events with greater ids, in the order of ids.
	EventsAfter(ctx context.Context, id string, limit int) ([]api.Event, error)
	// Nodes returns every life of every node.
	Nodes(ctx context.Context) ([]Node, error)
}

// Node is the news of a node and its newest heartbeat.
type Node struct {
	News      api.NodeNews
	Heartbeat time.Time
}
