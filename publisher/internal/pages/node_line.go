package pages

import (
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
)

// maxMarks is how many slots have a mark of their own.
const maxMarks = 24

// nodeLine is a node on the overview.
type nodeLine struct {
	Name, Path string
	Tone       string
	State      string // a word
	Slots      slotMarks
	Load       string
	Machine    []string   // its memory, disk and battery
	Beat       text.Piece // when it was last seen
}

func nodeLineOf(root string, n api.Node, now time.Time) nodeLine {
	v := nodeLine{
		Name: text.Line(n.Name, text.NameLimit), Path: text.Link(root + "/nodes/" + url.PathEscape(n.Name)),
		Slots: newSlotMarks(n.Running, health.Slots(n), maxMarks),
	}
	state := health.StateOf(n, now)
	v.State, v.Tone = string(state), state.Tone()
	if !n.Seen.IsZero() {
		v.Beat = text.Moment(n.Seen)
	}
	if m := n.Vitals; m != nil && n.Alive {
		v.Load = fmt.Sprintf("%.1f", m.Load[0])
		v.Machine = machine(m)
	}
	return v
}

// machine says how much of its memory, disk and battery a machine has left.
func machine(m *api.Vitals) []string {
	var list []string
	if m.MemoryTotal > 0 {
		list = append(list, "memory "+text.Bytes(m.MemoryTotal-m.MemoryAvailable)+" of "+text.Bytes(m.MemoryTotal))
	}
	if d, ok := health.Scarcest(m.Disks); ok {
		list = append(list, "disk "+health.DiskRoom(d))
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

// slotMarks shows how many slots of a node are busy: as one mark for each slot, or
// as a bar where there are too many.
type slotMarks struct {
	Label, Text string
	Marks       []bool // whether the slot is busy
	Bar         template.HTML
}

// newSlotMarks returns at most most marks. More jobs than slots run for a while
// after the number of slots was lowered.
func newSlotMarks(busy, slots, most int) slotMarks {
	busy, slots = max(busy, 0), max(slots, 0)
	v := slotMarks{
		Label: strconv.Itoa(busy) + " of " + text.Count(slots, "slot", "slots") + " busy", Text: fmt.Sprintf("%d of %d", busy, slots),
	}
	n := max(busy, slots)
	if n > most {
		v.Bar = chart.Share(float64(busy) / float64(n))
		return v
	}
	for i := range n {
		v.Marks = append(v.Marks, i < busy)
	}
	return v
}
