// Package health says in the same words for pages, API, commands, metrics and
// alerts how nodes and disks stand, what is wrong with the pool and why a job waits. Its
// functions read only the wire types of package api. Times of heartbeats are those that
// the answering node has observed, so no function compares clocks of two machines.
package health

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// queuedLong is how long a job may be queued while slots are idle, without a finding.
	queuedLong = 2 * time.Minute
	// manyMessages is how many buried or overdue messages are too many.
	manyMessages = 10
	// fewFailures is the number of failures in an hour below which there is no finding.
	fewFailures = 5
	// maxSharedRunes bounds the text about an inbox that other ledgers read.
	maxSharedRunes = 600
	// maxFindings bounds the findings of a verdict.
	maxFindings = 20
)

// VerdictOf returns the state of the pool in one sentence, and the findings: what is wrong,
// and what persons have set.
func VerdictOf(o api.Overview) api.Verdict {
	v := api.Verdict{Level: api.LevelOK, Findings: []api.Finding{}}
	for _, look := range []func(api.Overview) []api.Finding{
		checkNodes, checkTrouble, checkServers, checkDisks, checkQueue, checkStuck, checkFailures, checkControls, checkQuarantine,
	} {
		for _, f := range look(o) {
			f.Text += "."
			v.Findings = append(v.Findings, f)
		}
	}
	slices.SortStableFunc(v.Findings, func(a, b api.Finding) int { return cmp.Compare(weight(b.Level), weight(a.Level)) })
	faults := slices.IndexFunc(v.Findings, func(f api.Finding) bool { return f.Level == api.LevelOK })
	if faults < 0 {
		faults = len(v.Findings)
	}
	v.Findings = v.Findings[:min(len(v.Findings), maxFindings)]
	if faults == 0 {
		v.Text = allWell(o, v.Findings)
		return v
	}
	v.Level, v.Text = v.Findings[0].Level, v.Findings[0].Text
	if faults > 1 {
		v.Text += " And " + text.Count(faults-1, "more fault.", "more faults.")
	}
	return v
}

// WithDiskFailure returns v with a first finding: the disk of node has failed with err, and
// the node ends.
func WithDiskFailure(v api.Verdict, node string, err error) api.Verdict {
	f := api.Finding{
		Level: api.LevelBad, Path: nodePath(node),
		Text: "The disk has failed node " + text.Line(node, text.NameLimit) + ", which ends: " + text.Line(err.Error(), 200) + ".",
	}
	v.Findings = append([]api.Finding{f}, v.Findings[:min(len(v.Findings), maxFindings-1)]...)
	v.Level, v.Text = f.Level, f.Text
	return v
}

func weight(l api.Level) int {
	return slices.Index([]api.Level{api.LevelOK, api.LevelWarn, api.LevelBad}, l)
}

// allWell returns the sentence about a pool without faults. findings say what persons have
// set.
func allWell(o api.Overview, findings []api.Finding) string {
	sentence := fmt.Sprintf("All is well: %s, %d of %s busy", text.Count(len(o.Nodes), "node", "nodes"), o.Busy, text.Count(o.Slots, "slot", "slots"))
	if n := o.Queue.DueNow(); n > 0 {
		sentence += ", " + text.Count(n, "job", "jobs") + " queued"
	}
	if n := o.Queue.Scheduled; n > 0 {
		sentence += ", " + text.Count(n, "job", "jobs") + " scheduled"
	}
	sentence += "."
	for _, f := range findings[:min(len(findings), 2)] {
		sentence += " " + f.Text
	}
	return sentence
}

func checkNodes(o api.Overview) []api.Finding {
	var late, dead []api.Node
	up := 0
	for _, n := range o.Nodes {
		switch StateOf(n, o.At) {
		case Dead, Left:
			dead = append(dead, n)
		case Late:
			late = append(late, n)
		default:
			up++
		}
	}
	list := append(checkDead(o, dead), checkLate(o, late)...)
	if up+len(late) == 0 && len(dead) == 0 {
		list = append(list, api.Finding{Level: api.LevelWarn, Text: "No node is up", Path: "/nodes"})
	}
	return list
}

func checkDead(o api.Overview, dead []api.Node) []api.Finding {
	if len(dead) == 0 {
		return nil
	}
	f := api.Finding{Level: api.LevelBad, Path: "/nodes", Text: fmt.Sprintf("%d nodes are dead: %s", len(dead), names(dead))}
	if len(dead) == 1 {
		f.Path, f.Text = nodePath(dead[0].Name), "One node is dead: "+names(dead)
		if silence := o.At.Sub(dead[0].Seen); !dead[0].Seen.IsZero() && silence > 0 {
			f.Text += ", silent for " + text.RoughDuration(silence)
		}
	}
	return []api.Finding{f}
}

func checkLate(o api.Overview, late []api.Node) []api.Finding {
	switch len(late) {
	case 0:
		return nil
	case 1:
		n := late[0]
		sentence := fmt.Sprintf("One node is late: %s, silent for %s", names(late), text.Duration(o.At.Sub(n.Seen).Round(time.Second)))
		if n.Running > 0 {
			left := text.Duration(max(0, n.Lapses.Sub(o.At)).Round(time.Second))
			sentence = fmt.Sprintf("One node is late: %s, its %s in %s", names(late), text.Count(n.Running, "job moves", "jobs move"), left)
		}
		return []api.Finding{{Level: api.LevelWarn, Text: sentence, Path: nodePath(n.Name)}}
	}
	return []api.Finding{{Level: api.LevelWarn, Text: fmt.Sprintf("%d nodes are late: %s", len(late), names(late)), Path: "/nodes"}}
}

// checkTrouble finds nodes that fail jobs by a fault of their own, and those whose log
// loses lines.
func checkTrouble(o api.Overview) []api.Finding {
	var list []api.Finding
	for _, n := range o.Nodes {
		name := text.Line(n.Name, text.NameLimit)
		if t := TroubleOf(n); t != nil {
			list = append(list, api.Finding{Level: api.LevelBad, Path: nodePath(n.Name), Text: fmt.Sprintf(
				"Node %s is troubled: %s in a row failed by a fault of its own, and it tries one now and then: %s", name, text.Count(t.Faults, "job", "jobs"), TroubleReason(t))})
		}
		if n.Alive && n.Vitals != nil && n.Vitals.LogDropped > 0 {
			list = append(list, api.Finding{Level: api.LevelWarn, Path: nodePath(n.Name), Text: fmt.Sprintf(
				"Node %s loses its log: %s dropped since its start. Look at what reads its standard error", name, text.Count(n.Vitals.LogDropped, "line was", "lines were"))})
		}
	}
	return list
}

func names(nodes []api.Node) string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = text.Line(n.Name, text.NameLimit)
	}
	return text.Some(list, nodesShown)
}

func checkServers(o api.Overview) []api.Finding {
	var list []api.Finding
	down := api.LevelWarn
	if NoServerReason(o.Servers) != "" {
		down = api.LevelBad
	}
	for _, s := range o.Servers {
		at := "beanstalkd at " + text.Line(s.Addr, text.NameLimit)
		switch {
		case !s.OK:
			list = append(list, api.Finding{Level: down, Text: at + " does not answer"})
		case s.Draining:
			list = append(list, api.Finding{Level: api.LevelWarn, Text: at + " is in drain mode: it takes no messages"})
		case s.State == api.ServerFull:
			list = append(list, api.Finding{Level: api.LevelWarn, Text: at + " is full: it has refused a message"})
		case s.State == api.ServerSlow:
			list = append(list, api.Finding{Level: api.LevelWarn, Text: at + " is slow"})
		}
		for _, t := range s.Paused {
			what := "documents"
			if t.Program != "" {
				what = "jobs of " + text.Line(t.Program, text.NameLimit)
			}
			list = append(list, api.Finding{Level: api.LevelWarn, Text: fmt.Sprintf("%s gives out no %s until %s: somebody has paused the tube %s. The nodes resume it",
				at, what, t.Until.UTC().Format(time.RFC3339), text.Line(t.Tube, maxSharedRunes))})
		}
		if s.UnreadInbox > 0 {
			list = append(list, api.Finding{Level: api.LevelWarn, Text: fmt.Sprintf(
				"%s has %s on the common inbox, from which no node takes: put them on the inbox of a node, or set RUNNERBEAN_INBOX=shared",
				at, text.Count(s.UnreadInbox, "message", "messages"))})
		}
		list = append(list, checkOrphaned(s, at)...)
		for _, shared := range s.Shared {
			list = append(list, api.Finding{Level: api.LevelWarn, Text: text.Line(shared.Text, maxSharedRunes)})
		}
		if s.Overdue >= manyMessages {
			list = append(list, api.Finding{Level: api.LevelWarn, Text: fmt.Sprintf("%s has %s", at, text.Count(s.Overdue, "overdue message", "overdue messages"))})
		}
		if s.Buried >= manyMessages {
			list = append(list, api.Finding{Level: api.LevelWarn, Text: fmt.Sprintf("%s has %s", at, text.Count(s.Buried, "buried message", "buried messages"))})
		}
	}
	return list
}

// checkOrphaned finds messages that wait for nodes that are not up.
func checkOrphaned(s api.Server, at string) []api.Finding {
	if len(s.Orphaned) == 0 {
		return nil
	}
	messages, names := int64(0), make([]string, len(s.Orphaned))
	for i, o := range s.Orphaned {
		messages, names[i] = messages+o.Messages, text.Line(o.Node, text.NameLimit)
	}
	whose := "the inbox of the node " + names[0] + ", which is not up: start it, or move them"
	if len(names) > 1 {
		whose = "the inboxes of nodes that are not up (" + text.Some(names, nodesShown) + "): start them, or move them"
	}
	return []api.Finding{{Level: api.LevelWarn, Text: fmt.Sprintf("%s has %s on %s with runnerbean inbox move %s",
		at, text.Count(messages, "message", "messages"), whose, names[0])}}
}

func checkDisks(o api.Overview) []api.Finding {
	var list []api.Finding
	for _, n := range o.Nodes {
		if !n.Alive || n.Vitals == nil {
			continue
		}
		d, _ := Scarcest(n.Vitals.Disks)
		f := api.Finding{Level: DiskLevel(d), Path: nodePath(n.Name)}
		if f.Level == api.LevelOK {
			continue
		}
		f.Text = fmt.Sprintf("A disk of %s is %s: %s at %s", text.Line(n.Name, text.NameLimit), DiskWord(d), DiskRoom(d), text.Line(d.Path, text.NameLimit))
		if f.Level == api.LevelBad {
			f.Text += ", and it takes no work below " + text.Bytes(d.Floor) + HalfFree(d)
		}
		list = append(list, f)
	}
	return list
}

// checkQueue finds jobs that no node takes.
func checkQueue(o api.Overview) []api.Finding {
	if o.Queue.DueNow() == 0 {
		return nil
	}
	if o.Slots == 0 {
		return []api.Finding{{Level: api.LevelBad, Path: "/jobs?state=queued", Text: "No node takes work, and " + waits(o.Queue.DueNow())}}
	}
	var list []api.Finding
	for _, q := range o.Queue.Programs {
		if f, bad := checkProgram(o, q); bad {
			list = append(list, f)
		}
	}
	return list
}

func waits(n int64) string { return text.Count(n, "job waits", "jobs wait") }

// checkStuck finds jobs that do not come to an end by themselves.
func checkStuck(o api.Overview) []api.Finding {
	var list []api.Finding
	if m := o.Queue.Missing; m != nil {
		f := api.Finding{Level: api.LevelWarn, Path: "/jobs/" + url.PathEscape(m.Job)}
		f.Text = fmt.Sprintf("Job %s needs job %s, which nobody has put since %s", text.ShortID(m.Job), text.Line(m.Need, text.NameLimit), m.Since.UTC().Format(time.RFC3339))
		if m.Count > 1 {
			f.Text += fmt.Sprintf("; %s more needs are missing so", text.Grouped(m.Count-1))
		}
		list = append(list, f)
	}
	if i := o.Queue.Interrupted; i != nil {
		f := api.Finding{Level: api.LevelWarn, Path: "/jobs/" + url.PathEscape(i.Job)}
		f.Text = fmt.Sprintf("Restarts of nodes have interrupted job %s %d times, the longest run after %s", text.ShortID(i.Job), i.Times, text.RoughDuration(time.Duration(i.Longest*float64(time.Second))))
		if i.Count > 1 {
			f.Text += fmt.Sprintf(", and %s", text.Count(i.Count-1, "more job three times or more", "more jobs three times or more"))
		}
		f.Text += ": raise RUNNERBEAN_SHUTDOWN_GRACE, or drain nodes before a restart"
		list = append(list, f)
	}
	return list
}

// checkProgram finds a program whose jobs wait although slots that could run them are idle,
// or whose jobs no node can run.
func checkProgram(o api.Overview, q api.ProgramQueue) (api.Finding, bool) {
	f := api.Finding{Level: api.LevelWarn, Path: "/programs/" + q.Program}
	places, name := CapacityOf(o.Nodes, q.Program), text.Line(q.Program, text.NameLimit)
	age := o.At.Sub(q.Due)
	switch {
	case q.DueNow() == 0:
		return f, false
	case len(places.working) == 0:
		f.Text = fmt.Sprintf("%s for the program %s, which no node that takes work has", waits(q.DueNow()), name)
		return f, true
	case q.Due.IsZero() || age < queuedLong || places.busy >= places.slots:
		return f, false
	}
	f.Text = fmt.Sprintf("%s queued, the oldest for %s, while %d of %s idle",
		text.Count(q.DueNow(), "job of "+name+" is", "jobs of "+name+" are"), text.RoughDuration(age), places.slots-places.busy, text.Count(places.slots, "slot is", "slots are"))
	return f, true
}

// checkFailures finds too many failures in the last hour.
func checkFailures(o api.Overview) []api.Finding {
	failed := o.LastHour[jobs.Failed]
	all := failed + o.LastHour[jobs.Succeeded]
	if failed < fewFailures || failed*5 < all {
		return nil
	}
	f := api.Finding{Level: api.LevelWarn, Path: "/jobs?state=failed"}
	if failed*2 >= all {
		f.Level = api.LevelBad
	}
	f.Text = fmt.Sprintf("%s of %s failed in the last hour", text.Grouped(failed), text.Count(all, "job", "jobs"))
	return []api.Finding{f}
}

// checkControls finds what persons have set. That is no fault.
func checkControls(o api.Overview) []api.Finding {
	var list []api.Finding
	if o.Queue.Drained != nil {
		list = append(list, api.Finding{Level: api.LevelOK, Text: "The queue is drained: no new job is accepted"})
	}
	for _, n := range o.Nodes {
		sentence := ""
		switch {
		case !n.Alive:
			continue
		case n.Control.Paused:
			sentence = "is paused" + byWhom(n.Control.By)
		case n.Drained:
			sentence = "is drained: it takes no new work"
		default:
			continue
		}
		list = append(list, api.Finding{Level: api.LevelOK, Text: "Node " + text.Line(n.Name, text.NameLimit) + " " + sentence, Path: nodePath(n.Name)})
	}
	return list
}

// checkQuarantine finds nodes that run one job alone.
func checkQuarantine(o api.Overview) []api.Finding {
	var list []api.Finding
	for _, n := range o.Nodes {
		q := Quarantine(n)
		if q == nil {
			continue
		}
		does := "is to run"
		if q.Running {
			does = "runs"
		}
		list = append(list, api.Finding{
			Level: api.LevelOK, Path: nodePath(n.Name),
			Text: fmt.Sprintf("Node %s %s job %s alone, which was lost with its nodes before", text.Line(n.Name, text.NameLimit), does, text.ShortID(q.Job)),
		})
	}
	return list
}

func byWhom(by string) string {
	if by == "" {
		return ""
	}
	return " by " + text.Line(by, text.NameLimit)
}

func nodePath(name string) string { return "/nodes/" + url.PathEscape(name) }
