package health

import (
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// nodesShown bounds the number of nodes that a reason names.
	nodesShown = 5
)

// Capacity says which nodes have a program and what they can do for it.
type Capacity struct {
	slots, busy int      // of the nodes that take work
	working     []string // their names
	idle        []string // the others that are up, and why they take no work
	gone        []string // nodes that are not up, and since when
}

// CapacityOf returns the capacity of nodes for a program. The list is by name and then newest
// first, as in the answer to GET /api/v1/nodes.
func CapacityOf(nodes []api.Node, program string) Capacity {
	var p Capacity
	for i, n := range nodes {
		if InstalledAt(n, program) < 0 || i > 0 && nodes[i-1].Name == n.Name {
			continue // an older life of a node does not count
		}
		name := text.Line(n.Name, text.NameLimit)
		switch why := offWork(n); {
		case !n.Alive:
			p.gone = append(p.gone, name+awaySince(n))
		case why != "":
			p.idle = append(p.idle, name+" "+why)
		default:
			p.slots, p.busy, p.working = p.slots+Slots(n), p.busy+busyOf(n), append(p.working, name)
		}
	}
	return p
}

// busyOf returns the number of slots of a node that are taken. While one job runs alone, that
// is all of them.
func busyOf(n api.Node) int {
	if Quarantine(n) != nil {
		return Slots(n)
	}
	return n.Running
}

// offWork returns why a node that is up takes no work, or "" if it does.
func offWork(n api.Node) string {
	switch {
	case TroubleOf(n) != nil:
		return "is troubled: " + TroubleReason(TroubleOf(n))
	case n.Control.Paused:
		return "is paused"
	case n.Drained:
		return "is drained"
	case Slots(n) == 0:
		return "has no slots"
	}
	if n.Vitals == nil {
		return ""
	}
	if d, _ := Scarcest(n.Vitals.Disks); DiskLevel(d) == api.LevelBad {
		return "has too little room on its disk " + text.Line(d.Path, text.NameLimit)
	}
	return ""
}

// awaySince returns the rest of a sentence about a node that is not up. It contains no age,
// because a document must not change while nothing happens.
func awaySince(n api.Node) string {
	switch {
	case !n.Left.IsZero():
		return " (ended at " + n.Left.UTC().Format(time.RFC3339) + ")"
	case !n.Seen.IsZero():
		return " (silent since " + n.Seen.UTC().Format(time.RFC3339) + ")"
	}
	return ""
}

// WaitReason returns why a job of the program that is due does not run yet. before is the
// number of jobs before it in the queue, if known.
func (p Capacity) WaitReason(program string, before int, known bool) string {
	switch {
	case program == jobs.BatchProgram:
		return "waits for a node that is not drained to take it up"
	case len(p.working) > 0 && p.busy >= p.slots:
		return text.JoinClauses(p.full(), ahead(before, known))
	case len(p.working) > 0 && known && before == 0:
		return "is about to start"
	case len(p.working) > 0:
		return ahead(before, known)
	case len(p.idle) > 0:
		return fmt.Sprintf("no node that has the program %q takes work: %s", program, text.Some(p.idle, nodesShown))
	case len(p.gone) > 0:
		return fmt.Sprintf("no node that is up has the program %q; %s had it", program, text.Some(p.gone, nodesShown))
	}
	return fmt.Sprintf("no node that is up has the program %q", program)
}

// SharesReason returns the words for the share of a program in what starts, where other
// programs have jobs of the same priority, and "" where none has. sharing names all programs
// with such jobs. Only nodes that take work and have the program count.
func SharesReason(nodes []api.Node, program string, sharing []string) string {
	weights := map[string]int{}
	for i, n := range nodes {
		if InstalledAt(n, program) < 0 || i > 0 && nodes[i-1].Name == n.Name || !n.Alive || offWork(n) != "" {
			continue
		}
		for _, p := range n.Installed {
			if p.Name == program || p.Problem == "" && slices.Contains(sharing, p.Name) {
				weights[p.Name] = max(weights[p.Name], p.Weight, 1)
			}
		}
	}
	if len(weights) < 2 {
		return ""
	}
	all := 0
	for _, weight := range weights {
		all += weight
	}
	return fmt.Sprintf("its program has %d of %d shares", weights[program], all)
}

// full returns the words for no free slot.
func (p Capacity) full() string {
	where := text.Some(p.working, nodesShown)
	if len(p.working) > nodesShown {
		where = fmt.Sprintf("the %d nodes that have the program", len(p.working))
	}
	if p.slots == 1 {
		return "the only slot of " + where + " is busy"
	}
	return fmt.Sprintf("all %d slots of %s are busy", p.slots, where)
}

func ahead(before int, known bool) string {
	switch {
	case !known:
		return "many jobs come before it"
	case before == 1:
		return "1 job comes before it"
	case before > 1:
		return fmt.Sprintf("%d jobs come before it", before)
	}
	return ""
}

// PausedTubeReason returns the words for a paused tube of a program, or "" if none is paused.
func PausedTubeReason(paused []api.PausedTube, program string) string {
	for _, t := range paused {
		if t.Program == program {
			return fmt.Sprintf("beanstalkd at %s gives out none of the program's jobs until %s: somebody has paused their tube, which the nodes resume", t.Addr, t.Until.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// NoServerReason returns the words for no beanstalkd server that answers, or "".
func NoServerReason(servers []api.Server) string {
	if len(servers) == 0 || slices.ContainsFunc(servers, func(s api.Server) bool { return s.OK }) {
		return ""
	}
	return "beanstalkd does not answer, so that no node hears of the job"
}

// RunningReason returns why a running job makes no progress, or "" if it can.
func RunningReason(n api.Node) string {
	name := text.Line(n.Name, text.NameLimit)
	switch {
	case !n.Alive:
		return "its node " + name + awaySince(n) + " is not up: the job moves to another one"
	case n.Control.Paused:
		return "stands still: the node " + name + " is paused"
	}
	return ""
}
