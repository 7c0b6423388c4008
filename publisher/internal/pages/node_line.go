package pages

import (
	"cmp"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
)

const (
	// maxNodeLines is how many nodes the overview shows.
	maxNodeLines = 12
	// maxMarks is up to how many slots each has a mark of its own.
	maxMarks = 24
)

// nodeLine is a node in few words.
type nodeLine struct {
	Name, Path string
	Tone       string
	State      string // up, or what is special about it
	Slots      slotMarks
	Load       string
	Machine    []string // what else is known of its machine
	Beat       text.Piece
}

// slotMarks is how many slots are busy, as marks or as a bar.
type slotMarks struct {
	Label string
	Marks []bool
	Bar   template.HTML
}

func (v *overviewView) nodes(o api.Overview) {
	list := slices.Clone(o.Nodes)
	slices.SortStableFunc(list, func(a, b api.Node) int {
		return cmp.Or(cmp.Compare(health.Concern(b, o.At), health.Concern(a, o.At)), cmp.Compare(a.Name, b.Name))
	})
	for _, n := range list[:min(len(list), maxNodeLines)] {
		v.Nodes = append(v.Nodes, nodeLineOf(v.Root, n, o.At))
	}
	if more := len(list) - maxNodeLines; more > 0 {
		v.MoreNodes = text.Count(more, "more node", "more nodes")
	}
}

func nodeLineOf(root string, n api.Node, now time.Time) nodeLine {
	v := nodeLine{
		Name: text.Line(n.Name, text.NameLimit), Path: text.Link(root + "/nodes/" + url.PathEscape(n.Name)),
		Slots: slotMarksOf(n.Running, health.Slots(n)),
	}
	v.State, v.Tone = health.Standing(n, now)
	if !n.Seen.IsZero() {
		v.Beat = text.Moment(n.Seen)
	}
	if m := n.Vitals; m != nil && n.Alive {
		v.Load = fmt.Sprintf("%.1f", m.Load[0])
		v.Machine = machine(m)
	}
	return v
}

// machine says how much is left of what a machine has.
func machine(m *api.Vitals) []string {
	var list []string
	if m.MemoryTotal > 0 {
		list = append(list, "memory "+text.Bytes(m.MemoryTotal-m.MemoryAvailable)+" of "+text.Bytes(m.MemoryTotal))
	}
	if d, ok := health.Scarcest(m.Disks); ok {
		list = append(list, "disk "+text.Bytes(d.Free)+" free")
	}
	if b := m.Battery; b != nil {
		words := "battery " + sharePercent(min(max(b.Charge, 0), 1))
		if !b.Charging {
			words += ", discharging"
		}
		list = append(list, words)
	}
	return list
}

// slotMarksOf draws busy slots; more jobs than slots are possible after the
// number was lowered.
func slotMarksOf(busy, slots int) slotMarks {
	busy, slots = max(busy, 0), max(slots, 0)
	v := slotMarks{Label: strconv.Itoa(busy) + " of " + text.Count(slots, "slot", "slots") + " busy"}
	n := max(busy, slots)
	if n > maxMarks {
		v.Bar = chart.Share(float64(busy) / float64(n))
		return v
	}
	for i := range n {
		v.Marks = append(v.Marks, i < busy)
	}
	return v
}

// serverView is a beanstalkd server with all words chosen.
type serverView struct {
	Addr, Tone, State, Version                        string
	Ready, Reserved, Delayed, Buried, Overdue, Memory string
	ReservedTone, BuriedTone, OverdueTone             string
	Since                                             text.Piece
}

func serverOf(s api.Server) serverView {
	v := serverView{
		Addr: text.Line(s.Addr, text.NameLimit), Version: text.Line(s.Version, 20), Tone: "ok", State: "ok",
		Ready: text.Grouped(s.Ready), Reserved: text.Grouped(s.Reserved), Delayed: text.Grouped(s.Delayed), Buried: text.Grouped(s.Buried),
		Overdue: text.Grouped(s.Overdue), Memory: "–",
	}
	if s.Memory > 0 {
		v.Memory = text.Bytes(s.Memory)
	}
	if s.Buried > 0 {
		v.BuriedTone = "warn"
	}
	if s.Overdue > 0 {
		v.OverdueTone = "warn"
	}
	switch {
	case !s.OK:
		v.Tone, v.State = "bad", "does not answer"
		if s.Error != "" {
			v.State += ": " + text.Line(strings.TrimSpace(s.Error), 200)
		}
		v.Ready, v.Reserved, v.Delayed, v.Buried, v.Overdue, v.Memory = "–", "–", "–", "–", "–", "–"
	case s.Draining:
		v.Tone, v.State = "warn", "drains: takes no messages"
	}
	return v
}
