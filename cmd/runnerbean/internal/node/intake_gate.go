package node

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/batch"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/worker"
)

const (
	gateInterval = time.Second
	gateTimeout  = 5 * time.Second
	gateTells    = time.Minute // how often a fault is logged that lasts
	// unknownDrains is the reason for taking nothing before the first look.
	unknownDrains = "it is not known yet what is drained or paused"
)

// intakeGate decides whether a node takes work and new jobs: not while the node or
// the queue is drained, nor while a disk is full. It also applies what a
// person has set about the node: its slots, and whether it is paused.
type intakeGate struct {
	node       string
	slots      int // of the settings
	ledger     *ledger.Ledger
	worker     *worker.Worker
	dispatcher *dispatch.Dispatcher
	batches    *batch.Runner
	lowDisk    func(was bool) *string
	apart      func(context.Context) error // why ledger and store are no pair any more
	maxSlots   func() int                  // that the limits of this process hold
	announce   func()                      // after a change that the heartbeat reports
	log        *slog.Logger

	mu         sync.Mutex             // keeps looks in order
	tooMany    int                    // the slots that a person had set at the last look
	slotsFault string                 // why slots are missing
	low        atomic.Pointer[string] // why a disk is full, or the store is gone; nil where all is well
}

// start looks for the first time. If that fails, the node takes nothing until a look
// succeeds.
func (g *intakeGate) start(ctx context.Context) {
	if err := g.look(ctx); err != nil {
		g.log.Warn("cannot read what is drained or paused; the node takes nothing until it can", "node", g.node, "err", err)
		g.worker.Hold(unknownDrains)
		g.dispatcher.Hold(unknownDrains)
	}
}

// run looks every second until ctx ends. Each look also answers systemd's watchdog.
func (g *intakeGate) run(ctx context.Context) error {
	ticker := time.NewTicker(gateInterval)
	defer ticker.Stop()
	var told time.Time // zero while looks succeed
	for {
		err := g.look(ctx)
		switch {
		case err == nil && !told.IsZero():
			g.log.Info("the ledger can be read again", "node", g.node)
			told = time.Time{}
		case err != nil && ctx.Err() == nil && time.Since(told) > gateTells:
			g.log.Warn("cannot read what is drained or set for this node; nothing changes until it can", "node", g.node, "err", err)
			told = time.Now()
		}
		notifyAlive()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look applies drains, controls and the state of the disks. While the ledger cannot
// be read, only the state of the disks is applied.
func (g *intakeGate) look(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	low := g.lowDisk(g.low.Load() != nil)
	if err := cmp.Or(g.apart(ctx), g.ledger.FullDisk.Err()); err != nil {
		text := err.Error()
		low = &text
	}
	g.low.Store(low)
	if low != nil {
		g.worker.Hold(*low)
		g.batches.Hold(*low)
		g.dispatcher.Hold(*low)
	}
	// Controls come first: a paused node that starts must not take a job.
	if err := g.applyControl(ctx); err != nil {
		return err
	}
	drains, err := g.ledger.Nodes.Drains(ctx)
	if err != nil || low != nil {
		return err
	}
	var node, queue string
	for _, d := range drains {
		switch d.Node {
		case "":
			queue = because("the queue is drained", d.By, d.Reason)
		case g.node:
			node = because("node "+d.Node+" is drained", d.By, d.Reason)
		}
	}
	g.worker.Hold(node)
	g.batches.Hold(node)
	g.dispatcher.Hold(queue)
	return nil
}

// applyControl pauses or resumes the node and sets its slots.
func (g *intakeGate) applyControl(ctx context.Context) error {
	controls, err := g.ledger.Nodes.Controls(ctx)
	if err != nil {
		return err
	}
	c := controls[g.node]
	slots := g.slots
	if c.Slots != nil {
		slots = g.held(min(max(*c.Slots, 0), api.MaxSlots))
	}
	if g.worker.Paused() != c.Paused || g.worker.Slots() != slots {
		defer g.announce()
	}
	if c.Paused {
		g.worker.Pause(because("paused", c.By, c.Reason))
	} else {
		g.worker.Resume()
	}
	g.logSlotsFault(g.worker.SetSlots(slots))
	return nil
}

// held returns as many slots as the limits of this process hold, and logs once that these
// are fewer.
func (g *intakeGate) held(slots int) int {
	most := g.maxSlots()
	if slots > most && slots != g.tooMany {
		g.log.Warn("the limits of this process do not hold the slots that are set for it; it has as many as they hold. Raise the limits (ulimit -n, -u; LimitNOFILE, LimitNPROC and TasksMax in the systemd unit) and start it again, or set fewer slots",
			"node", g.node, "set", slots, "slots", most)
	}
	g.tooMany = slots
	return min(slots, most)
}

// logSlotsFault logs each reason for missing slots once, not every second.
func (g *intakeGate) logSlotsFault(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != g.slotsFault {
		g.log.Warn("some slots are not available yet", "node", g.node, "err", err)
	}
	g.slotsFault = text
}

// because adds to a state the name of the person that set it and the reason.
func because(text, by, reason string) string {
	if by != "" {
		text += " by " + by
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// control changes what is set about a node. On this node the change takes effect at
// once, on others within a second.
func (g *intakeGate) control(ctx context.Context, node string, change func(*nodes.Control), by string, expect *time.Time) (nodes.Control, error) {
	c, err := g.ledger.Nodes.SetControl(ctx, node, change, by, expect)
	if err != nil {
		return c, err
	}
	g.lookNow(ctx)
	return c, nil
}

// drain drains a node, or with "" the queue.
func (g *intakeGate) drain(ctx context.Context, node, by, reason string) error {
	if err := g.ledger.Nodes.Drain(ctx, node, by, reason); err != nil {
		return err
	}
	g.lookNow(ctx)
	return nil
}

func (g *intakeGate) undrain(ctx context.Context, node, by string) error {
	if err := g.ledger.Nodes.Undrain(ctx, node, by); err != nil {
		return err
	}
	g.lookNow(ctx)
	return nil
}

// lookNow applies a recorded change at once. An error is only logged: the change is
// recorded, and the next look applies it.
func (g *intakeGate) lookNow(ctx context.Context) {
	if err := g.look(ctx); err != nil {
		g.log.Warn("a change is recorded and takes effect later", "node", g.node, "err", err)
	}
}
