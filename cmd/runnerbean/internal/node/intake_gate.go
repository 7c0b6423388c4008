package node

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/vitals"
	"github.com/runnerbean/runnerbean/worker"
)

// gateEvery is how often a node looks whether it should take work.
const gateEvery = time.Second

// unknownDrains is why a node takes nothing before it could look.
const unknownDrains = "it is not known yet what is drained or paused"

// intakeGate decides whether a node takes work and new jobs: not while it or the
// queue is drained, nor while a disk is almost full. It also has the node do what
// persons have set about it: its slots, and whether it is paused.
type intakeGate struct {
	n     *Node
	mu    sync.Mutex             // so that an older look never comes after a newer one
	fault string                 // why slots cannot be had
	low   atomic.Pointer[string] // why the disk is too full; nil where it is not
}

// run looks until ctx ends. Each look that gets through is also the sign of life
// that a service manager waits for.
func (g *intakeGate) run(ctx context.Context) error {
	ticker := time.NewTicker(gateEvery)
	defer ticker.Stop()
	for {
		if err := g.look(ctx); err != nil && ctx.Err() == nil {
			g.n.log.Warn("cannot ask what is drained or set about this node; it goes on as it does", "node", g.n.Settings.Node, "err", err)
		}
		g.alive()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// alive tells systemd that the node works, where it asks for that.
func (g *intakeGate) alive() {
	if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
		_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
	}
}

// look opens or shuts both doors of the node, and sets its slots and whether it
// is paused. While the ledger cannot be read all stays as it is, but for the disk.
func (g *intakeGate) look(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	low := g.n.lowDisk(g.low.Load() != nil)
	g.low.Store(low)
	if low != nil {
		g.n.worker.Hold(*low)
		g.n.dispatcher.Hold(*low)
	}
	// Before the doors open: a node that starts must not take what it is not to.
	if err := g.obey(ctx); err != nil {
		return err
	}
	drains, err := g.n.Ledger.Drains(ctx)
	if err != nil || low != nil {
		return err
	}
	var node, queue string
	for _, d := range drains {
		switch d.Node {
		case "":
			queue = drained("the queue", d)
		case g.n.Settings.Node:
			node = drained("node "+d.Node, d)
		}
	}
	g.n.worker.Hold(node)
	g.n.dispatcher.Hold(queue)
	return nil
}

// obey does what persons have set about this node, in this life or one before.
func (g *intakeGate) obey(ctx context.Context) error {
	controls, err := g.n.Ledger.Controls(ctx)
	if err != nil {
		return err
	}
	c, w := controls[g.n.Settings.Node], g.n.worker
	if w.Paused() != c.Paused {
		defer g.n.announce()
	}
	if c.Paused {
		w.Pause(paused(c))
	} else {
		w.Resume()
	}
	slots := g.n.Settings.Slots
	if c.Slots != nil {
		slots = min(max(*c.Slots, 0), api.MaxSlots)
	}
	if w.Slots() != slots {
		defer g.n.announce()
	}
	g.told(w.SetSlots(slots))
	return nil
}

// told logs why slots cannot be had, once for each reason: it is asked every
// second.
func (g *intakeGate) told(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != g.fault {
		g.n.log.Warn("some slots cannot be had yet", "node", g.n.Settings.Node, "err", err)
	}
	g.fault = text
}

func paused(c ledger.Control) string {
	text := "paused"
	if c.By != "" {
		text += " by " + c.By
	}
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}

// control changes what is set about a node. It takes effect here at once, on
// other nodes in a second.
func (g *intakeGate) control(ctx context.Context, node string, change func(*ledger.Control), by string, expect *time.Time) (ledger.Control, error) {
	c, err := g.n.Ledger.SetControl(ctx, node, change, by, expect)
	if err != nil {
		return c, err
	}
	g.lookNow(ctx)
	return c, nil
}

func drained(what string, d ledger.Drain) string {
	text := what + " is drained"
	if d.By != "" {
		text += " by " + d.By
	}
	if d.Reason != "" {
		text += ": " + d.Reason
	}
	return text
}

// lowDisk says which file system has less room than it should; nil where none
// has. Once one had, it must have a tenth more.
func (n *Node) lowDisk(was bool) *string {
	want := int64(n.Settings.MinFree)
	if was {
		want += want / 10
	}
	places := []struct{ what, folder string }{{"results", ""}, {"data", n.Settings.Data}}
	if path, ok := strings.CutPrefix(n.Settings.Ledger, "sqlite:"); ok {
		places = append(places, struct{ what, folder string }{"the ledger", filepath.Dir(path)})
	}
	for _, place := range places {
		free, err := n.free(place.folder)
		if err != nil || free >= want {
			continue
		}
		text := fmt.Sprintf("the disk for %s is almost full: %s free, RUNNERBEAN_MIN_FREE is %s", place.what, worker.Size(free), n.Settings.MinFree)
		return &text
	}
	return nil
}

// free is the room on the file system of a folder, or of the store for "".
func (n *Node) free(folder string) (int64, error) {
	if folder == "" {
		return n.Store.Free()
	}
	_, free, err := vitals.DiskSpace(folder)
	return free, err
}

// drain drains and has it take effect here at once; other nodes follow in a second.
func (g *intakeGate) drain(ctx context.Context, node, by, reason string) error {
	if err := g.n.Ledger.Drain(ctx, node, by, reason); err != nil {
		return err
	}
	g.lookNow(ctx)
	return nil
}

func (g *intakeGate) undrain(ctx context.Context, node, by string) error {
	if err := g.n.Ledger.Undrain(ctx, node, by); err != nil {
		return err
	}
	g.lookNow(ctx)
	return nil
}

// lookNow has an order that the ledger has taken in take effect at once. Where
// that fails the next look will do: the order itself has not failed.
func (g *intakeGate) lookNow(ctx context.Context) {
	if err := g.look(ctx); err != nil {
		g.n.log.Warn("an order is kept and takes effect a little later", "node", g.n.Settings.Node, "err", err)
	}
}
