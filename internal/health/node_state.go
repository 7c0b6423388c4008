package health

import (
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
)

func InstalledAt(n api.Node, program string) int {
	return slices.IndexFunc(n.Installed, func(i api.Installed) bool { return i.Name == program })
}

// Present are the newest lives of the nodes that have not left.
func Present(all []api.Node) []api.Node {
	list := []api.Node{}
	for i, n := range all {
		if newest := i == 0 || all[i-1].Name != n.Name; newest && n.Left.IsZero() {
			list = append(list, n)
		}
	}
	return list
}

// Slots is how many jobs a node may run at once, as persons or its settings say.
func Slots(n api.Node) int {
	if n.Control.Slots != nil {
		return *n.Control.Slots
	}
	return n.Slots
}

// Quarantine is the job for which a node takes no other; nil where none is.
func Quarantine(n api.Node) *api.Quarantine {
	if n.Vitals == nil || !n.Alive {
		return nil
	}
	return n.Vitals.Quarantine
}

// Concern is how much a person has to care about a node.
func Concern(n api.Node, now time.Time) int {
	switch {
	case !n.Alive && n.Left.IsZero():
		return 3
	case lateNode(n, now):
		return 2
	case n.Control.Paused, n.Drained:
		return 1
	}
	return 0
}

// Standing says how a node is, and how that looks.
func Standing(n api.Node, now time.Time) (state, tone string) {
	switch {
	case !n.Left.IsZero():
		return "has left", "soft"
	case !n.Alive:
		return "dead", "bad"
	case lateNode(n, now):
		return "late", "warn"
	case n.Control.Paused:
		return "paused", "warn"
	case n.Drained:
		return "drained", "warn"
	}
	return "up", "ok"
}

// NodeState is whether a node is there, in a word.
func NodeState(n api.Node) (state, tone string) {
	switch {
	case n.Alive && n.Control.Paused:
		return "paused", "warn"
	case n.Alive && n.Drained:
		return "drained", "warn"
	case n.Alive:
		return "up", "ok"
	case !n.Left.IsZero():
		return "left", "soft"
	}
	return "lost", "bad"
}

// lateNode reports whether a node that is alive has been silent for so much of its
// lease that a person should see it: a heartbeat comes, and is looked for, in
// every quarter of it.
func lateNode(n api.Node, now time.Time) bool {
	return n.Alive && now.Sub(n.Seen) >= n.Lapses.Sub(n.Seen)*3/5
}
