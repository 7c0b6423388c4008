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

// Heartbeat renews the row of one instance in the ledger and announces its programs.
type Heartbeat struct {
	Ledger *ledger.Ledger
	Node   nodes.Node
	// Every is the time between two renewals. Default 5 s. It should be at most a
	// quarter of the ledger's lease.
	Every time.Duration
	// Programs returns the installed programs.
	Programs func() []nodes.Program
	// Slots returns the current number of slots. Default Node.Slots.
	Slots func() int
	// Vitals returns the JSON of an [api.Vitals], or nil if nothing has changed.
	// Default: no vitals are recorded.
	Vitals func() []byte
	// Changed wakes the heartbeat when Programs has changed. It may be nil.
	Changed <-chan struct{}
	// Upgrade is called once when another process waits for this node to leave, so that it
	// can upgrade the ledger. Default: nothing is called.
	Upgrade func(context.Context, nodes.Upgrade)
	Logger  *slog.Logger
}

// Run renews the row until ctx ends, and then records that the instance has left. The
// caller has registered the node. If other nodes have declared the instance dead, Run
// registers it again. It returns [nodes.ErrTwin] if another instance has taken its
// name.
func (h Heartbeat) Run(ctx context.Context) error {
	if h.Every <= 0 {
		h.Every = 5 * time.Second
	}
	ticker := time.NewTicker(h.Every)
	defer ticker.Stop()
	wanted := upgradeWatch{registry: h.Ledger.Nodes, call: h.Upgrade}
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
			h.Logger.Warn("heartbeat not recorded; other nodes may declare this node dead", "err", err)
		}
		if err := wanted.look(ctx); err != nil && ctx.Err() == nil {
			h.Logger.Warn("cannot read whether an upgrade of the ledger is wanted", "err", err)
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

// upgradeWatch notices that another process wants to upgrade the ledger.
type upgradeWatch struct {
	registry *nodes.Registry
	call     func(context.Context, nodes.Upgrade) // nil after the call
	last     int64                                // Renewed at the last look, 0 if there was none
}

// look calls once if the wish was renewed since the last look.
func (w *upgradeWatch) look(ctx context.Context) error {
	if w.call == nil {
		return nil
	}
	u, err := w.registry.Upgrade(ctx)
	if err != nil || u == nil {
		w.last = 0
		return err
	}
	if w.last != 0 && w.last != u.Renewed {
		w.call(ctx, *u)
		w.call = nil
	}
	w.last = u.Renewed
	return nil
}
