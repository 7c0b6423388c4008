package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// needsShown bounds how many jobs are named that another one waits for.
	needsShown = 8
	// nodesShown bounds how many nodes a reason names.
	nodesShown = 5
)

// places are the nodes that have a program, by what they can do for it.
type places struct {
	slots, busy int      // of the nodes that take work
	working     []string // their names
	idle        []string // why the others that are up take none
	gone        []string // those that had it, and since when they are away
}

// placesOf looks for a program on nodes as nodesNow lists them.
func placesOf(nodes []api.Node, program string) places {
	var p places
	for i, n := range nodes {
		if installedAt(n, program) < 0 || i > 0 && nodes[i-1].Name == n.Name {
			continue // an older life of a node counts no more
		}
		name := text.Line(n.Name, text.NameLimit)
		switch why := offWork(n); {
		case !n.Alive:
			p.gone = append(p.gone, name+awaySince(n))
		case why != "":
			p.idle = append(p.idle, name+" "+why)
		default:
			p.slots, p.busy, p.working = p.slots+slotsOf(n), p.busy+busyOf(n), append(p.working, name)
		}
	}
	return p
}

// busyOf is how many slots of a node are taken, or kept free for a job that runs
// alone.
func busyOf(n api.Node) int {
	if quarantineOf(n) != nil {
		return slotsOf(n)
	}
	return n.Running
}

// offWork says why a node that is up takes no work; empty where it does.
func offWork(n api.Node) string {
	switch {
	case n.Control.Paused:
		return "is paused"
	case n.Drained:
		return "is drained"
	case slotsOf(n) == 0:
		return "has no slots"
	}
	if d, low := fullest(n); low && d.Free < d.Floor {
		return "has too little room on its disk " + text.Line(d.Path, text.NameLimit)
	}
	return ""
}

// awaySince is the rest of a sentence about a node that is not up. It must not
// change while nothing happens.
func awaySince(n api.Node) string {
	switch {
	case !n.Left.IsZero():
		return " (ended at " + n.Left.UTC().Format(time.RFC3339) + ")"
	case !n.Seen.IsZero():
		return " (silent since " + n.Seen.UTC().Format(time.RFC3339) + ")"
	}
	return ""
}

// fullest is the disk of a node that has the least room above its floor; low
// is whether it is nearly full.
func fullest(n api.Node) (d api.Disk, low bool) {
	if n.Vitals == nil || len(n.Vitals.Disks) == 0 {
		return d, false
	}
	d = slices.MinFunc(n.Vitals.Disks, func(a, b api.Disk) int { return int(min(1, max(-1, (a.Free-a.Floor)-(b.Free-b.Floor)))) })
	return d, d.Free < d.Floor || d.Free < 2*d.Floor && d.Free < d.Total/10 || d.Free < d.Total/50
}

// reason puts into words why a job of the program that is due does not run yet.
func (p places) reason(program string, before int, known bool) string {
	switch {
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

// full says that every slot is taken.
func (p places) full() string {
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

// explainQueued says what a queued job waits for and where it stands.
func (p *Publisher) explainQueued(ctx context.Context, r *jobs.Result) error {
	if !r.NotBefore.IsZero() {
		r.Reason = text.JoinClauses(r.Reason, "starts not before "+r.NotBefore.UTC().Format(time.RFC3339))
		return nil
	}
	n, known, err := p.cfg.Ledger.Position(ctx, r.ID)
	if err != nil {
		return err
	}
	if known {
		r.Position = &n
	}
	if why := pausedTube(p.cfg.Paused(), r.Program); why != "" {
		r.Reason = text.JoinClauses(r.Reason, why)
		return nil
	}
	nodes, err := p.nodesNow(ctx)
	if err != nil {
		return err
	}
	r.Reason = text.JoinClauses(r.Reason, placesOf(nodes, r.Program).reason(r.Program, n, known))
	return nil
}

// pausedTube says that beanstalkd gives out no jobs of a program; empty where it
// does.
func pausedTube(paused []api.PausedTube, program string) string {
	for _, t := range paused {
		if t.Program == program {
			return fmt.Sprintf("beanstalkd at %s gives out none of the program's jobs until %s: somebody has paused their tube, which the nodes resume", t.Addr, t.Until.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// silent says that no beanstalkd server answers, so that no node hears of work.
func silent(servers []api.Server) string {
	if len(servers) == 0 || slices.ContainsFunc(servers, func(s api.Server) bool { return s.OK }) {
		return ""
	}
	return "beanstalkd does not answer, so that no node hears of the job"
}

// explainWaiting names the jobs that a job waits for.
func (p *Publisher) explainWaiting(ctx context.Context, r *jobs.Result, rec ledger.Record) error {
	var doc struct {
		Needs []string `json:"needs"`
	}
	if json.Unmarshal(rec.Document, &doc) != nil || len(doc.Needs) == 0 {
		return nil
	}
	var open []string
	missing := false
	for _, id := range doc.Needs[:min(len(doc.Needs), needsShown)] {
		state, err := p.stateOf(ctx, id)
		if err != nil {
			return err
		}
		missing = missing || state == notKnown
		if state != string(jobs.Succeeded) {
			open = append(open, id+" ("+state+")")
		}
	}
	if more := len(doc.Needs) - needsShown; more > 0 {
		open = append(open, fmt.Sprintf("and up to %d more", more))
	}
	if len(open) > 0 {
		r.Reason = "waits for the jobs that it needs: " + strings.Join(open, ", ")
	}
	// It may wait for its program besides.
	if _, program, ok := strings.Cut(rec.Reason, "; "); ok && strings.HasPrefix(rec.Reason, "waits for ") {
		r.Reason = program
		if len(open) > 0 {
			r.Reason = text.JoinClauses("waits for the jobs that it needs: "+strings.Join(open, ", "), program)
		}
	}
	if missing {
		return p.explainMissing(ctx, r)
	}
	return nil
}

// notKnown is the state of a job that nobody has put yet.
const notKnown = "not known yet"

// explainMissing says why a job that nobody has put yet may be long in coming.
func (p *Publisher) explainMissing(ctx context.Context, r *jobs.Result) error {
	drains, err := p.drains(ctx)
	if err == nil && drains.Queue != nil {
		r.Reason = text.JoinClauses(r.Reason, "the queue is drained: no new job is accepted")
	}
	return err
}

func (p *Publisher) stateOf(ctx context.Context, id string) (string, error) {
	rec, err := p.cfg.Ledger.Get(ctx, id)
	if isUnknown(err) {
		return notKnown, nil
	}
	return string(rec.State), err
}

// standstill says why a running job does not get on; empty where it does.
func standstill(n api.Node) string {
	name := text.Line(n.Name, text.NameLimit)
	switch {
	case !n.Alive:
		return "its node " + name + awaySince(n) + " is not up: the job moves to another one"
	case n.Control.Paused:
		return "stands still: the node " + name + " is paused"
	}
	return ""
}
