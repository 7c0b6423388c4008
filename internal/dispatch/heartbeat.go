package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/panics"
)

// Heartbeat keeps one instance alive in the ledger and announces its programs.
type Heartbeat struct {
	Ledger *ledger.Ledger
	Node   nodes.Node
	// Every is how often the row is renewed. Default 5 s; it should be at most a
	// quarter of the ledger's lease.
	Every time.Duration
	// Programs returns what is installed now.
	Programs func() []nodes.Program
	// Slots returns how many programs may run at once now; default Node.Slots.
	Slots func() int
	// Vitals returns the JSON of a api.Vitals that says how the machine does, or
	// nil where there is nothing new. Default nil: nothing is said.
	Vitals func() []byte
	// Changed wakes the heartbeat when Programs has changed; may be nil.
	Changed <-chan struct{}
	Logger  *slog.Logger
}

// Run renews the row until ctx ends, then records that the instance has left.
// The caller has registered the node. An instance that others have declared dead
// while it slept registers again; [nodes.ErrTwin] where one has taken its name.
func (h Heartbeat) Run(ctx context.Context) error {
	if h.Every <= 0 {
		h.Every = 5 * time.Second
	}
	ticker := time.NewTicker(h.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return h.Ledger.Nodes.Leave(leave, h.Node.Instance)
		case <-ticker.C:
		case <-h.Changed:
		}
		err := panics.Call(func() error { return h.beat(ctx) })
		if errors.Is(err, nodes.ErrTwin) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			h.Logger.Warn("heartbeat not recorded; other nodes may take this node for dead", "err", err)
		}
	}
}

func (h Heartbeat) beat(ctx context.Context) error {
	var vitals []byte
	if h.Vitals != nil {
		vitals = h.Vitals()
	}
	if h.Slots != nil {
		h.Node.Slots = h.Slots()
	}
	err := h.Ledger.Nodes.Beat(ctx, h.Node.Instance, h.Programs(), h.Node.Slots, vitals)
	if errors.Is(err, nodes.ErrInstance) {
		h.Node.Programs = h.Programs()
		err = h.Ledger.Nodes.Register(ctx, h.Node)
	}
	return err
}
