// Package node runs one node: intake, worker and publisher over one ledger and one store.
package node

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/version"
	"github.com/runnerbean/runnerbean/internal/batch"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/metrics"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/tracing"
	"github.com/runnerbean/runnerbean/internal/vitals"
	"github.com/runnerbean/runnerbean/internal/webhook"
	"github.com/runnerbean/runnerbean/publisher"
	"github.com/runnerbean/runnerbean/worker"
)

// Log is where a node logs.
type Log struct {
	*slog.Logger
	// Dropped returns how many lines were dropped since the start, and when the last one
	// was. Default: none.
	Dropped func() (total int64, last time.Time)
}

// Node is one instance of a node. Open fills the fields in the order in which they
// stand here.
type Node struct {
	set      settings.Settings
	instance string
	log      Log
	// announced makes the heartbeat write at once what has changed.
	announced chan struct{}
	// stopping is set from the first request to stop on.
	stopping atomic.Bool
	// leaving is why the node ends for an upgrade of the ledger; nil if it does not.
	leaving atomic.Pointer[string]

	lock        *os.File // on the data folder
	identity    string   // of the data folder
	listener    net.Listener
	metrics     *metrics.Metrics
	tracer      *tracing.Tracer // nil where no collector is named
	ledger      *ledger.Ledger
	store       *store.Store
	storeID     store.Identity
	machine     *vitals.Collector
	dispatcher  *dispatch.Dispatcher
	worker      *worker.Worker
	batches     *batch.Runner
	disks       *disks
	gate        *intakeGate
	publisher   *publisher.Publisher
	webhookKeys [][]byte // the first is that of the pool
	webhooks    *webhook.Deliverer
}

// BaseURL returns what the URLs of this node's results begin with.
func (n *Node) BaseURL() string { return n.set.BaseURL }

// Ledger returns the open ledger.
func (n *Node) Ledger() *ledger.Ledger { return n.ledger }

// Store returns the open store.
func (n *Node) Store() *store.Store { return n.store }

func (n *Node) scratch() string { return filepath.Join(n.set.Data, "scratch") }

// heartbeatInterval is also the interval of the reconciler.
func (n *Node) heartbeatInterval() time.Duration { return min(n.set.Lease/4, 5*time.Second) }

// announce makes the heartbeat write at once.
func (n *Node) announce() {
	select {
	case n.announced <- struct{}{}:
	default:
	}
}

// row returns what the ledger records of this instance.
func (n *Node) row() nodes.Node {
	return nodes.Node{
		Name: n.set.Node, Instance: n.instance, Home: n.identity, BaseURL: n.set.BaseURL,
		Version: version.Get().Version, Slots: n.worker.Slots(), Programs: n.worker.Programs(),
		Settings: sharedSettings(n.set, n.webhookKeys),
	}
}
