package pages

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/text"
)

// nodesView is the list of nodes.
type nodesView struct {
	frame
	Rows []nodeRow
	Gone []nodeRow // nodes that were stopped
	// Differences say what living nodes should have alike and have not.
	Differences []string
}

type nodeRow struct {
	Name, Path    string
	State, Tone   string
	Note          string // what people have set
	Slots         slotMarks
	Load, Memory  string
	MemoryTone    string
	Disk, DiskTip string
	DiskTone      string
	Battery       string
	BatteryTone   string
	Programs      string
	Seen          text.Piece
}

// NodeList lists the nodes.
func (p *Pages) NodeList(c echo.Context) error {
	f := p.frame(c, "nodes", "Nodes")
	return p.sendShared(c, "node_list.html", func(ctx context.Context) (any, error) {
		nodes, err := p.cfg.Nodes(ctx)
		return newNodesView(f, nodes), err
	})
}

// newNodesView lists each name once, in its newest life, and older lives that are
// alive or have running jobs.
func newNodesView(f frame, nodes []api.Node) nodesView {
	v := nodesView{frame: f, Differences: health.Differences(nodes)}
	seen := map[string]bool{}
	for _, n := range nodes {
		if seen[n.Name] && !n.Alive && n.Running == 0 {
			continue
		}
		seen[n.Name] = true
		row := newNodeRow(f.Root, n)
		if !n.Alive && !n.Left.IsZero() && n.Running == 0 {
			v.Gone = append(v.Gone, row)
		} else {
			v.Rows = append(v.Rows, row)
		}
	}
	return v
}

func newNodeRow(root string, n api.Node) nodeRow {
	r := nodeRow{
		Name: text.Line(n.Name, text.NameLimit), Path: text.Link(root + "/nodes/" + url.PathEscape(n.Name)),
		Slots: newSlotMarks(n.Running, n.Slots, 32), Programs: text.Grouped(len(n.Programs)), Seen: seenAt(n),
	}
	state := health.StateOf(n, time.Now())
	r.State, r.Tone, r.Note = string(state), state.Tone(), setWords(n, state)
	v := n.Vitals
	if v == nil || !n.Alive {
		return r
	}
	r.Load = fmt.Sprintf("%.1f", v.Load[0])
	r.Memory, r.MemoryTone = memoryWords(v)
	r.Disk, r.DiskTip, r.DiskTone = tightest(v.Disks)
	r.Battery, r.BatteryTone = batteryWords(v.Battery)
	return r
}

// setWords says what people have set for a node, except what its state says.
func setWords(n api.Node, state health.State) string {
	var list []string
	if t := health.TroubleOf(n); t != nil {
		list = append(list, health.TroubleReason(t))
	}
	for _, hidden := range state.Hidden(n) {
		list = append(list, string(hidden)+" too")
	}
	if n.Control.Slots != nil {
		list = append(list, fmt.Sprintf("set to %d slots", *n.Control.Slots))
	}
	if n.Control.Reason != "" {
		list = append(list, text.Line(n.Control.Reason, 80))
	}
	words := ""
	for _, s := range list {
		words = text.JoinClauses(words, s)
	}
	return words
}

// seenAt returns when a node was last seen.
func seenAt(n api.Node) text.Piece {
	at := n.Seen
	if !n.Left.IsZero() {
		at = n.Left
	}
	if at.IsZero() {
		return text.Piece{}
	}
	return text.Moment(at)
}

func memoryWords(v *api.Vitals) (value, tone string) {
	if v.MemoryTotal <= 0 {
		return "", ""
	}
	used := 1 - float64(v.MemoryAvailable)/float64(v.MemoryTotal)
	if used > 0.92 {
		tone = "warn"
	}
	return text.Percent(used), tone
}

// tightest returns words about the disk with the least room above its floor.
func tightest(disks []api.Disk) (value, tip, tone string) {
	least, ok := health.Scarcest(disks)
	if !ok {
		return "", "", ""
	}
	return health.DiskRoom(least), text.Line(least.Use, text.NameLimit) + ", " + text.Line(least.Path, 200), diskTone(least)
}

// diskTone returns the class of a disk on pages.
func diskTone(d api.Disk) string {
	if level := health.DiskLevel(d); level != api.LevelOK {
		return string(level)
	}
	return ""
}

func batteryWords(b *api.Battery) (value, tone string) {
	if b == nil {
		return "", ""
	}
	value = text.Percent(b.Charge)
	if b.Charging {
		return value + ", charging", ""
	}
	if b.Charge < 0.2 {
		tone = "warn"
	}
	return value, tone
}

// age returns how long ago t was, by the clock of this node, and "" for no time.
func age(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return text.Duration(max(0, time.Since(t)))
}
