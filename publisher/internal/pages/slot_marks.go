package pages

import (
	"fmt"
	"html/template"
	"strconv"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
)

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
