package metrics

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// poolEvery is how long a reading is used again.
	poolEvery = 5 * time.Second
	// maxNodes is the largest number of nodes with a metric of their own. The nodes
	// with the oldest heartbeats come first.
	maxNodes = 200
)

// pool collects the state that all nodes share. Each node reports the same values.
type pool struct {
	read     func(context.Context) (Pool, error)
	log      *slog.Logger
	programs *names

	mu   sync.Mutex
	at   time.Time
	last Pool
	ok   bool
}

var (
	readableDesc = desc("ledger_readable", "Whether this node could read the ledger for these metrics.")
	jobsDesc     = desc("jobs", "Jobs in the ledger, of the whole pool, by state.", "state")
	queueDesc    = desc("queue_jobs", "Jobs that have not ended, of the whole pool, by program and state: queued, running, waiting.", "program", "state")
	oldestDesc   = desc("queue_oldest_seconds", "For how long the queued job has been due that has waited the longest, of the whole pool; 0 where none is due.", "program")
	nodesDesc    = desc("nodes", "Nodes of the pool that have not left, by state: up, drained, paused, late with the heartbeat, dead.", "state")
	deadRowsDesc = desc("ledger_dead_rows", "Rows of the ledger's tables in PostgreSQL that are dead and not removed yet.")
	oldestTxDesc = desc("ledger_oldest_transaction_seconds", "Age of the oldest transaction in the database of the ledger; until its end no dead row is removed that is younger.")
	lagDesc      = desc("ledger_standby_lag_seconds", "How far the slowest standby of the database is behind, as far as this user may see it.")
	sizeDesc     = desc("ledger_database_bytes", "Size of the ledger's tables and indexes in PostgreSQL.")
	silentDesc   = desc("node_heartbeat_age_seconds", "How long ago the node's heartbeat was last seen to change, by the clock of who reports it.", "node")
)

// Describe implements [prometheus.Collector].
func (p *pool) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{readableDesc, jobsDesc, queueDesc, oldestDesc, nodesDesc, silentDesc, deadRowsDesc, oldestTxDesc, lagDesc, sizeDesc} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (p *pool) Collect(ch chan<- prometheus.Metric) {
	now, ok := p.reading()
	gauge(ch, readableDesc, truth(ok))
	if !ok {
		return
	}
	for _, state := range []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running, jobs.Succeeded, jobs.Failed, jobs.Cancelled} {
		gauge(ch, jobsDesc, float64(now.Counts[state]), string(state))
	}
	if d := now.Database; d != nil {
		gauge(ch, deadRowsDesc, float64(d.DeadRows))
		gauge(ch, oldestTxDesc, d.OldestTransaction.Seconds())
		gauge(ch, lagDesc, d.Lag.Seconds())
		gauge(ch, sizeDesc, float64(d.Size))
	}
	p.collectQueue(ch, now.Queue)
	collectNodes(ch, now.Nodes, time.Now())
}

// reading returns the last reading if it is recent, or a new one.
func (p *pool) reading() (Pool, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) < poolEvery {
		return p.last, p.ok
	}
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	last, err := p.read(ctx)
	if err != nil {
		p.log.Warn("metrics: cannot read the ledger", "err", err)
	}
	p.last, p.ok, p.at = last, err == nil, time.Now()
	return p.last, p.ok
}

// queued is the sum of the queues of all programs with one label.
type queued struct {
	queued, scheduled, running, waiting int64
	oldest                              time.Duration
}

func (p *pool) collectQueue(ch chan<- prometheus.Metric, q api.Queue) {
	sums := map[string]*queued{}
	for _, one := range q.Programs {
		label := p.programs.label(one.Program)
		sum := sums[label]
		if sum == nil {
			sum = &queued{}
			sums[label] = sum
		}
		sum.queued, sum.scheduled = sum.queued+one.DueNow(), sum.scheduled+one.Scheduled
		sum.running, sum.waiting = sum.running+one.Running, sum.waiting+one.Waiting
		if !one.Oldest.IsZero() {
			sum.oldest = max(sum.oldest, time.Since(one.Oldest))
		}
	}
	for label, sum := range sums {
		gauge(ch, queueDesc, float64(sum.queued), label, string(jobs.Queued))
		gauge(ch, queueDesc, float64(sum.scheduled), label, "scheduled")
		gauge(ch, queueDesc, float64(sum.running), label, string(jobs.Running))
		gauge(ch, queueDesc, float64(sum.waiting), label, string(jobs.Waiting))
		gauge(ch, oldestDesc, sum.oldest.Seconds(), label)
	}
}

// collectNodes sends the number of nodes by state, and the age of the heartbeats of those
// that have been silent the longest.
func collectNodes(ch chan<- prometheus.Metric, nodes []api.Node, now time.Time) {
	nodes = slices.Clone(nodes)
	slices.SortStableFunc(nodes, func(a, b api.Node) int { return a.Seen.Compare(b.Seen) })
	states, seen := map[health.State]int{health.Up: 0, health.Drained: 0, health.Paused: 0, health.Late: 0, health.Dead: 0}, map[string]bool{}
	for _, n := range nodes {
		states[health.StateOf(n, now)]++
		if !seen[n.Name] && len(seen) < maxNodes {
			seen[n.Name] = true
			gauge(ch, silentDesc, max(0, now.Sub(n.Seen)).Seconds(), n.Name)
		}
	}
	for state, n := range states {
		gauge(ch, nodesDesc, float64(n), string(state))
	}
}

// Pool is the state that all nodes share.
type Pool struct {
	// Counts is the number of jobs in each state.
	Counts map[jobs.State]int64
	Queue  api.Queue
	// Nodes are the newest instances of nodes that have not left, see [health.Present].
	Nodes []api.Node
	// Database is how the server of the ledger is doing; nil if the ledger is a file.
	Database *Database
}

// Database is how a server of PostgreSQL is doing.
type Database struct {
	DeadRows, Size         int64 // rows; bytes
	OldestTransaction, Lag time.Duration
}
