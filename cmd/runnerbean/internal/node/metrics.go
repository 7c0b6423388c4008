package node

import (
	"context"
	"slices"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/version"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/metrics"
	"github.com/runnerbean/runnerbean/internal/report"
	"github.com/runnerbean/runnerbean/jobs"
)

// newMetrics returns what /metrics shows of this node. The functions use parts that
// are opened later; nothing calls them before the publisher serves.
func (n *Node) newMetrics() *metrics.Metrics {
	var cache func() metrics.Cache
	if n.set.Caches() {
		cache = func() metrics.Cache { s := n.store.Copies().Stats(); return metrics.Cache(s) }
	}
	return metrics.New(metrics.Config{
		Cache:          cache,
		Version:        version.Get().Version,
		Slots:          n.slotsNow,
		Trouble:        func() bool { return n.worker.Trouble() != nil },
		Pool:           n.pool,
		Servers:        func(ctx context.Context) []api.Server { return n.dispatcher.Servers(ctx) },
		Disks:          func() []api.Disk { return n.readMachine().Disks },
		Streams:        func() int { return n.publisher.Streams() },
		StreamsDropped: func() int64 { return n.publisher.StreamsDropped() },
		FromMemory:     func() int64 { return n.publisher.FromMemory() },
		Logger:         n.log.Logger,
		LogDropped:     func() int64 { total, _ := n.log.Dropped(); return total },
	})
}

// attemptEnded counts an attempt and sends its spans.
func (n *Node) attemptEnded(a report.Attempt) {
	n.metrics.Ended(a)
	n.tracer.Ended(a)
}

// pool returns what all nodes share, from the ledger.
func (n *Node) pool(ctx context.Context) (metrics.Pool, error) {
	counts, err := n.ledger.Activity.Counts(ctx)
	if err != nil {
		return metrics.Pool{}, err
	}
	backlog, err := n.ledger.Backlog(ctx)
	if err != nil {
		return metrics.Pool{}, err
	}
	present, err := presentNodes(ctx, n.ledger.Nodes)
	p := metrics.Pool{Counts: map[jobs.State]int64{}, Nodes: present}
	for state, count := range counts {
		p.Counts[state] = int64(count)
	}
	for _, b := range backlog.Programs {
		p.Queue.Programs = append(p.Queue.Programs, api.ProgramQueue{
			Program: b.Program, Queued: b.Queued, Scheduled: b.Scheduled, Running: b.Running, Waiting: b.Waiting, Oldest: b.Oldest,
		})
	}
	if err == nil {
		p.Database, err = n.database(ctx)
	}
	return p, err
}

// database returns how the server of the ledger is doing; nil if the ledger is a file.
func (n *Node) database(ctx context.Context) (*metrics.Database, error) {
	if n.ledger.Server == nil {
		return nil, nil
	}
	s, err := n.ledger.Server(ctx)
	if err != nil {
		return nil, err
	}
	return &metrics.Database{DeadRows: s.DeadRows, Size: s.Size, OldestTransaction: s.Oldest, Lag: s.Lag}, nil
}

// slotsNow returns the number of slots, and how many are busy. A job in quarantine
// keeps all of them busy.
func (n *Node) slotsNow() (total, busy int) {
	total = n.worker.Slots()
	if n.worker.Quarantine() != nil {
		return total, total
	}
	return total, n.worker.Busy()
}

// presentNodes returns the newest instance of each node that has not left, with what
// its state needs.
func presentNodes(ctx context.Context, r *nodes.Registry) ([]api.Node, error) {
	list, err := r.List(ctx) // in order of name, the newest instance first
	if err != nil {
		return nil, err
	}
	controls, err := r.Controls(ctx)
	if err != nil {
		return nil, err
	}
	drains, err := r.Drains(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]api.Node, len(list))
	for i, one := range list {
		all[i] = api.Node{
			Name: one.Name, Alive: one.Alive, Left: one.Left, Seen: one.Seen, Lapses: one.Lapses, Control: api.Control{Paused: controls[one.Name].Paused},
			Drained: slices.ContainsFunc(drains, func(d nodes.Drain) bool { return d.Node == one.Name }),
		}
	}
	return health.Present(all), nil
}
