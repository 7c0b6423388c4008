package node

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/version"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/metrics"
	"github.com/runnerbean/runnerbean/internal/report"
	"github.com/runnerbean/runnerbean/jobs"
)

// newMetrics makes what /metrics shows of this node. Its parts may be opened
// later: they are asked once there is a server to ask it.
func (n *Node) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Config{
		Version:    version.Get().Version,
		Slots:      n.slotsNow,
		Pool:       n.pool,
		Servers:    func(ctx context.Context) []api.Server { return n.dispatcher.Servers(ctx) },
		Disks:      n.disks,
		Streams:    func() int { return n.publisher.Streams() },
		FromMemory: func() int64 { return n.publisher.FromMemory() },
		Logger:     n.log,
	})
}

// ended counts an attempt and sends its spans.
func (n *Node) ended(e report.Attempt) {
	n.metrics.Ended(e)
	n.tracer.Ended(e)
}

// pool is what all nodes share, as the ledger has it.
func (n *Node) pool(ctx context.Context) (metrics.Pool, error) {
	counts, err := n.Ledger.Counts(ctx)
	if err != nil {
		return metrics.Pool{}, err
	}
	backlog, err := n.Ledger.Backlog(ctx)
	if err != nil {
		return metrics.Pool{}, err
	}
	nodes, err := n.Ledger.Nodes(ctx)
	p := metrics.Pool{Counts: map[jobs.State]int64{}, Nodes: n.present(nodes)}
	for state, count := range counts {
		p.Counts[state] = int64(count)
	}
	for _, b := range backlog.Programs {
		p.Queue.Programs = append(p.Queue.Programs, api.ProgramQueue{
			Program: b.Program, Queued: b.Queued, Scheduled: b.Scheduled, Running: b.Running, Waiting: b.Waiting, Oldest: b.Oldest,
		})
	}
	return p, err
}

// slotsNow are the slots and those that are taken, or kept free for a job that
// runs alone.
func (n *Node) slotsNow() (total, busy int) {
	total = n.worker.Slots()
	if n.worker.Quarantine() != nil {
		return total, total
	}
	return total, n.worker.Busy()
}

// present are the newest lives of the nodes that have not left.
func (n *Node) present(nodes []ledger.Node) []metrics.Node {
	var list []metrics.Node
	last := ""
	for _, one := range nodes { // by name, the newest first
		if one.Name == last || !one.Left.IsZero() {
			last = one.Name
			continue
		}
		last = one.Name
		list = append(list, metrics.Node{Name: one.Name, Alive: one.Alive, Silent: max(0, time.Since(one.Seen))})
	}
	return list
}

// disks are the file systems that this node writes to. One that does not answer
// is left out in time.
func (n *Node) disks() []api.Disk {
	ctx, cancel := context.WithTimeout(context.Background(), vitalsWait)
	defer cancel()
	return n.machine.Read(ctx).Disks
}
