package dispatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// HeartbeatEvery is how often an instance renews its row; others count it as
// dead after the ledger's lease.
const HeartbeatEvery = 5 * time.Second

// Heartbeat keeps one instance alive in the ledger and announces its programs.
type Heartbeat struct {
	Ledger *ledger.Ledger
	Node   ledger.Node
	// Programs returns what is installed now.
	Programs func() []ledger.Program
	// Changed wakes the heartbeat when Programs has changed; may be nil.
	Changed <-chan struct{}
	Logger  *slog.Logger
}

// Run renews the row until ctx ends, then records that the instance has left.
// The caller has registered the node.
func (h Heartbeat) Run(ctx context.Context) error {
	ticker := time.NewTicker(HeartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), HeartbeatEvery)
			defer cancel()
			return h.Ledger.Leave(leave, h.Node.Instance)
		case <-ticker.C:
		case <-h.Changed:
		}
		if err := h.Ledger.Beat(ctx, h.Node.Instance, h.Programs(), h.Node.Slots); err != nil && ctx.Err() == nil {
			h.Logger.Warn("heartbeat not recorded; other nodes may take this node for dead", "err", err)
		}
	}
}
