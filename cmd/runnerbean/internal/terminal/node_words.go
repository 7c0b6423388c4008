package terminal

import (
	"fmt"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/text"
)

// NodeState says whether a node is up, has left or is lost, and whether it is drained,
// paused or in quarantine.
func NodeState(n api.Node) string {
	state := "lost"
	switch {
	case n.Alive:
		state = "up"
	case !n.Left.IsZero():
		state = "left"
	}
	if n.Drained {
		state += ", drained"
	}
	if n.Control.Paused {
		state += ", paused"
	}
	if n.Alive && n.Vitals != nil && n.Vitals.Quarantine != nil {
		state += ", one job alone"
	}
	return state
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
