package terminal

import "github.com/runnerbean/runnerbean/api"

// NodeState says in words how a node stands.
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
