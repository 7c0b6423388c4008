package health

import (
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

func InstalledAt(n api.Node, program string) int {
	return slices.IndexFunc(n.Installed, func(i api.Installed) bool { return i.Name == program })
}

// Present returns the newest life of each node that has not left.
func Present(all []api.Node) []api.Node {
	list := []api.Node{}
	for i, n := range all {
		if newest := i == 0 || all[i-1].Name != n.Name; newest && n.Left.IsZero() {
			list = append(list, n)
		}
	}
	return list
}

// Slots returns the number of jobs that a node may run at once, set by a person or by its
// settings, as far as the limits of its process hold them.
func Slots(n api.Node) int {
	switch {
	case n.Control.Slots == nil:
		return n.Slots
	case n.Vitals != nil && n.Vitals.MaxSlots > 0:
		return min(*n.Control.Slots, n.Vitals.MaxSlots)
	}
	return *n.Control.Slots
}

// Quarantine returns the job for which a node takes no other, or nil.
func Quarantine(n api.Node) *api.Quarantine {
	if n.Vitals == nil || !n.Alive {
		return nil
	}
	return n.Vitals.Quarantine
}

// TroubleOf returns the trouble of a node, or nil.
func TroubleOf(n api.Node) *api.Trouble {
	if n.Vitals == nil || !n.Alive {
		return nil
	}
	return n.Vitals.Trouble
}

// maxReasonRunes bounds the reason of a trouble.
const maxReasonRunes = 200

// TroubleReason returns the reason of a trouble in one line.
func TroubleReason(t *api.Trouble) string { return text.Line(t.Reason, maxReasonRunes) }

// State is whether a node is up and takes work, in a word.
type State string

// These are the states of a node. The first that applies, in this order, is its state.
const (
	Left State = "left" // it ended in good order
	Dead State = "dead" // its heartbeat stopped for the whole lease
	Late State = "late" // its heartbeat is missing for a large part of the lease
	// Troubled nodes fail jobs by a fault of their own, and try one now and then.
	Troubled State = "troubled"
	Paused   State = "paused"  // its programs stand still
	Drained  State = "drained" // it takes no new work
	Up       State = "up"
)

// StateOf returns the state of a node. now is by the clock of the node that answered,
// as n.Seen and n.Lapses are.
func StateOf(n api.Node, now time.Time) State {
	switch {
	case !n.Alive && !n.Left.IsZero():
		return Left
	case !n.Alive:
		return Dead
	case late(n, now):
		return Late
	case TroubleOf(n) != nil:
		return Troubled
	case n.Control.Paused:
		return Paused
	case n.Drained:
		return Drained
	}
	return Up
}

// Tone returns the class of the state on pages.
func (s State) Tone() string {
	switch s {
	case Up:
		return "ok"
	case Left:
		return "soft"
	case Dead, Troubled:
		return "bad"
	}
	return "warn"
}

// Concern returns how much a person has to care about a node in this state, from 0 to 3.
func (s State) Concern() int {
	switch s {
	case Dead, Troubled:
		return 3
	case Late:
		return 2
	case Paused, Drained:
		return 1
	}
	return 0
}

// Hidden returns what a person has set for n that the state s does not say: paused,
// drained or both.
func (s State) Hidden(n api.Node) []State {
	var list []State
	if n.Control.Paused && s != Paused {
		list = append(list, Paused)
	}
	if n.Drained && s != Drained {
		list = append(list, Drained)
	}
	return list
}

// late reports whether a node that is alive has been silent for so much of its
// lease that a person should see it. A heartbeat comes, and is looked for, in every
// quarter of the lease. An answer without times does not make a node late.
func late(n api.Node, now time.Time) bool {
	return !n.Seen.IsZero() && now.Sub(n.Seen) >= n.Lapses.Sub(n.Seen)*3/5
}
