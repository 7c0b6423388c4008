package terminal

import (
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/text"
)

// NodeState returns the state of a node, what else a person has set, and whether it is
// in quarantine. now is by the clock of the node that answered.
func NodeState(n api.Node, now time.Time) string {
	state := health.StateOf(n, now)
	words := string(state)
	for _, hidden := range state.Hidden(n) {
		words += ", " + string(hidden)
	}
	if health.Quarantine(n) != nil {
		words += ", one job alone"
	}
	return words
}

// Vitals returns the load of a minute, the share of used memory, and the free space
// of the fullest disk; "-" is unknown.
func Vitals(v *api.Vitals) (load, memory, disk string) {
	load, memory, disk = "-", "-", "-"
	if v == nil {
		return load, memory, disk
	}
	load = fmt.Sprintf("%.1f", v.Load[0])
	if v.MemoryTotal > 0 {
		memory = fmt.Sprintf("%.0f %%", 100*(1-float64(v.MemoryAvailable)/float64(v.MemoryTotal)))
	}
	if d, ok := health.Scarcest(v.Disks); ok {
		disk = text.Bytes(d.Free)
	}
	return load, memory, disk
}
