package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/metrics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker"
)

// newMetrics makes what /metrics shows of this node. Its parts may be opened
// later: they are asked once there is a server to ask it.
func (n *node) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Config{
		Version:    version(),
		Slots:      func() (total, busy int) { return n.worker.Slots(), n.worker.Busy() },
		Pool:       n.pool,
		Servers:    func(ctx context.Context) []jobs.Server { return n.dispatcher.Servers(ctx) },
		Disks:      n.disks,
		Streams:    func() int { return n.publisher.Streams() },
		FromMemory: func() uint64 { return n.publisher.FromMemory() },
		Logger:     n.log,
	})
}

// ended counts an attempt and sends its spans.
func (n *node) ended(e worker.Ended) {
	n.metrics.Ended(e)
	n.tracer.Ended(e)
}

// pool is what all nodes share, as the ledger has it.
func (n *node) pool(ctx context.Context) (metrics.Pool, error) {
	counts, err := n.ledger.Counts(ctx)
	if err != nil {
		return metrics.Pool{}, err
	}
	nodes, err := n.ledger.Nodes(ctx)
	p := metrics.Pool{Counts: map[jobs.State]int64{}, Nodes: present(nodes)}
	for state, count := range counts {
		p.Counts[state] = int64(count)
	}
	return p, err
}

// present are the newest lives of the nodes that have not left.
func present(nodes []ledger.Node) []metrics.Node {
	var list []metrics.Node
	last := ""
	for _, one := range nodes { // by name, the newest first
		if one.Name == last || !one.Left.IsZero() {
			last = one.Name
			continue
		}
		last = one.Name
		list = append(list, metrics.Node{Name: one.Name, Alive: one.Alive, Silent: max(0, time.Since(one.Beat))})
	}
	return list
}

// disks are the file systems that this node writes to.
func (n *node) disks() []jobs.Disk {
	places := []struct{ use, folder string }{{"data", n.set.Data}, {"store", ""}, {"scratch", n.scratch()}, {"programs", n.set.Programs}}
	if path, ok := strings.CutPrefix(n.set.Ledger, "sqlite:"); ok {
		places = append(places, struct{ use, folder string }{"ledger", filepath.Dir(path)})
	}
	var list []jobs.Disk
	for _, place := range places {
		if free, err := n.free(place.folder); err == nil {
			list = append(list, jobs.Disk{Use: place.use, Free: free, Floor: int64(n.set.MinFree)})
		}
	}
	return list
}
