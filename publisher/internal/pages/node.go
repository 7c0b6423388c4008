package pages

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/counted"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// nodeView is the page about one node.
type nodeView struct {
	frame
	nodeRow
	Does     string // a sentence about what it does now
	Act      string // address of its forms
	Paused   bool
	Drained  bool
	Alive    bool
	SlotsNow int
	SlotsSet bool
	Figures  []figure
	Disks    []diskView
	Jobs     []nodeJob
	MoreJobs int
	Warm     warmList
	Counted  *counted.View
	Windows  []navLink
	Programs []installedView
	Facts    []jobview.Fact
	Lives    []lifeView
	Events   []eventRow
	AllJobs  string // link to the list of its jobs
	AllLog   string // link to its events
}

type diskView struct {
	Use, Path, Free, Total, Tone string
	Reusable                     string // empty for none
	Value                        string // share in use, from 0 to 1
	Percent                      string
}

// nodeJob is a running job and its processes.
type nodeJob struct {
	rowView
	Act       string // address of the form that restarts it
	Chunk     string // what it works on
	Processes []processView
}

type processView struct {
	PID          int
	Indent       int // how many of its ancestors are listed
	Name         string
	CPU, Seconds string
	Memory, Age  string
	Paused       bool
}

type installedView struct {
	Name, Path, SHA256, Short, Note, NoteTone string
}

type lifeView struct {
	Instance      string
	Started, Left text.Piece
}

const (
	maxNodeJobs   = 64
	maxNodeEvents = 12
	maxLives      = 10
)

// Node shows a node with its jobs, disks, programs and events.
func (p *Pages) Node(c echo.Context) error {
	name, err := nodeParam(c)
	if err != nil {
		return err
	}
	f := p.frame(c, "nodes", text.Line(name, text.NameLimit))
	return p.sendShared(c, "node.html", func(ctx context.Context) (any, error) {
		return p.nodePage(ctx, f, name, cmp.Or(c.QueryParam("range"), defaultWindow))
	})
}

func nodeParam(c echo.Context) (string, error) {
	name, err := url.PathUnescape(c.Param("name"))
	if err != nil || httpio.TextFault(name) != "" {
		return "", echo.ErrNotFound
	}
	return name, nil
}

func (p *Pages) nodePage(ctx context.Context, f frame, name, window string) (any, error) {
	node, err := p.cfg.NodeOf(ctx, name)
	if err != nil {
		return nil, err
	}
	nodes, err := p.cfg.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	running, err := p.cfg.Jobs(ctx, listing.Filter{State: jobs.Running, Node: name, Limit: maxNodeJobs})
	if err != nil {
		return nil, err
	}
	events, err := p.cfg.Events(ctx, eventlog.Filter{Node: name, Limit: maxNodeEvents})
	if err != nil {
		return nil, err
	}
	counters, err := p.cfg.Counters(ctx, "", name, window)
	if err != nil {
		return nil, err
	}
	v := newNodeView(f, node, nodes)
	v.Counted, v.Windows = counted.OfNode(counters), windowLinks(window)
	v.addJobs(node, running.Jobs)
	for _, e := range events.Events {
		v.Events = append(v.Events, eventOf(f.Root, e))
	}
	return v, nil
}

func newNodeView(f frame, n api.Node, all []api.Node) *nodeView {
	v := &nodeView{
		frame: f, nodeRow: newNodeRow(f.Root, n), Paused: n.Control.Paused, Drained: n.Drained, Alive: n.Alive,
		SlotsNow: n.Slots, SlotsSet: n.Control.Slots != nil,
		AllJobs: text.Link(f.Root + "/jobs?node=" + url.QueryEscape(n.Name)), AllLog: text.Link(f.Root + "/events?node=" + url.QueryEscape(n.Name)),
	}
	v.Act, v.Does = v.Path+"/act", nodeSentence(n, health.State(v.State))
	v.Figures, v.Disks, v.Warm = nodeFigures(n), nodeDisks(n), nodeWarm(f.Root, n)
	for _, i := range n.Installed {
		v.Programs = append(v.Programs, newInstalled(f.Root, i, n, all))
	}
	v.Facts = nodeFacts(n)
	for _, other := range all {
		if other.Name == n.Name && other.Instance != n.Instance && len(v.Lives) < maxLives {
			v.Lives = append(v.Lives, lifeView{Instance: text.Line(other.Instance, text.NameLimit), Started: text.Moment(other.Started), Left: seenAt(other)})
		}
	}
	return v
}

// nodeSentence says what a node does now.
func nodeSentence(n api.Node, state health.State) string {
	switch {
	case state == health.Left:
		return "It was stopped in good order. Nothing runs here."
	case state == health.Dead:
		return "Its heartbeat does not come. What it ran is run elsewhere, or will be when a node has room."
	case state == health.Late:
		return "Its heartbeat is late. If none comes, what it runs moves to another node."
	case state == health.Troubled:
		t := health.TroubleOf(n)
		return fmt.Sprintf("Troubled: %s in a row failed by a fault of this node, and it tries one now and then: %s.", text.Plural(t.Faults, "job"), health.TroubleReason(t))
	case state == health.Paused:
		return fmt.Sprintf("Paused: %s stand still and no work is taken.", text.Plural(n.Running, "job"))
	case state == health.Drained:
		return fmt.Sprintf("Drained: no work is taken; %s still to finish.", text.Plural(n.Running, "job"))
	case health.Quarantine(n) != nil:
		return quarantineSentence(*health.Quarantine(n), n.Running)
	case n.Slots == 0:
		return "It serves results and runs no jobs: it has no slots."
	case n.Running == 0:
		return "Up and idle."
	}
	return fmt.Sprintf("Up; %d of %d slots busy.", n.Running, n.Slots)
}

func quarantineSentence(q api.Quarantine, running int) string {
	if q.Running {
		return fmt.Sprintf("It runs job %s alone, which was lost with its nodes before. No other work is taken until that has ended.", text.ShortID(q.Job))
	}
	return fmt.Sprintf("No work is taken until %s to finish have ended: then it runs job %s alone, which was lost with its nodes before.",
		text.Plural(running, "job"), text.ShortID(q.Job))
}

func nodeFigures(n api.Node) []figure {
	list := []figure{{Number: fmt.Sprintf("%d of %d", n.Running, n.Slots), Meaning: "slots busy"}}
	v := n.Vitals
	if v == nil || !n.Alive {
		return list
	}
	list = append(list,
		figure{Number: fmt.Sprintf("%.2f", v.Load[0]), Meaning: fmt.Sprintf("load on %s; %.2f over 15 min", text.Plural(v.CPUs, "processor"), v.Load[2])},
		figure{Number: text.Percent(v.CPU), Meaning: "of all processors in use"})
	if value, tone := memoryWords(v); value != "" {
		list = append(list, figure{Number: value, Meaning: "of " + text.Bytes(v.MemoryTotal) + " memory in use", Tone: tone})
	}
	if b := v.Battery; b != nil {
		_, tone := batteryWords(b)
		list = append(list, figure{Number: text.Percent(b.Charge), Meaning: "of the battery" + map[bool]string{true: ", charging"}[b.Charging], Tone: tone})
	}
	return list
}

func nodeDisks(n api.Node) (list []diskView) {
	if n.Vitals == nil {
		return nil
	}
	for _, d := range n.Vitals.Disks {
		v := diskView{Use: text.Line(d.Use, text.NameLimit), Path: text.Line(d.Path, 200), Free: text.Bytes(d.Free), Total: text.Bytes(d.Total), Tone: diskTone(d)}
		if d.Reusable > 0 {
			v.Reusable = text.Bytes(d.Reusable)
		}
		if d.Total > 0 {
			used := 1 - float64(d.Free)/float64(d.Total)
			v.Value, v.Percent = fmt.Sprintf("%.3f", min(max(used, 0), 1)), text.Percent(used)
		}
		list = append(list, v)
	}
	return list
}

// newInstalled returns the view of a program on node n. It says which other nodes
// have another version.
func newInstalled(root string, i api.Installed, n api.Node, all []api.Node) installedView {
	v := installedView{
		Name: text.Line(i.Name, text.NameLimit), Path: text.Link(root + "/programs/" + url.PathEscape(i.Name)),
		SHA256: text.Line(i.SHA256, text.NameLimit), Short: shortHash(i.SHA256),
	}
	var others []string
	for _, other := range all {
		if !other.Alive || other.Name == n.Name {
			continue
		}
		if slices.ContainsFunc(other.Installed, func(o api.Installed) bool { return o.Name == i.Name && o.SHA256 != i.SHA256 }) {
			others = append(others, text.Line(other.Name, 40))
		}
	}
	if len(others) > 0 {
		v.Note = "another version on " + strings.Join(others[:min(len(others), 5)], ", ")
	}
	if v.NoteTone = "warn"; i.Problem != "" {
		v.Note, v.NoteTone = "cannot be started: "+text.Line(i.Problem, 300), "bad"
	}
	return v
}

// shortHash returns the beginning of a hash.
func shortHash(sha256 string) string {
	if len(sha256) < 12 {
		return text.Line(sha256, 12)
	}
	return text.Line(sha256[:8], 12) + "…"
}

func nodeFacts(n api.Node) []jobview.Fact {
	list := []jobview.Fact{
		{Name: "version", Piece: text.Piece{Text: text.Line(n.Version, text.NameLimit)}},
		{Name: "address", Piece: text.Piece{Text: text.Line(n.BaseURL, 200)}},
		{Name: "started", Piece: text.Moment(n.Started)},
	}
	if seen := seenAt(n); seen.Text != "" {
		list = append(list, jobview.Fact{Name: "seen", Piece: seen})
	}
	if n.Control.By != "" {
		list = append(list, jobview.Fact{Name: "set by", Piece: text.Piece{Text: text.Line(n.Control.By, text.NameLimit)}})
	}
	return append(list, jobview.Fact{Name: "instance", Piece: text.Piece{Text: text.Line(n.Instance, text.NameLimit)}, Code: true})
}

// addJobs adds the running jobs of a node with their processes.
func (v *nodeView) addJobs(n api.Node, running []jobs.Result) {
	processes := map[string][]api.Process{}
	if n.Vitals != nil && n.Alive {
		for _, p := range n.Vitals.Processes {
			processes[p.Job] = append(processes[p.Job], p)
		}
	}
	for _, r := range running {
		path := v.Root + "/jobs/" + url.PathEscape(r.ID)
		v.Jobs = append(v.Jobs, nodeJob{
			rowView: row(v.Root, r), Act: text.Link(path + "/act"), Processes: processTree(processes[r.ID]), Chunk: counted.ChunkWords(r.Chunk),
		})
	}
	v.MoreJobs = max(0, n.Running-len(running))
}

// processTree returns processes in an order in which each follows its parent.
func processTree(list []api.Process) []processView {
	known := map[int]bool{}
	for _, p := range list {
		known[p.PID] = true
	}
	children := map[int][]api.Process{}
	for _, p := range list {
		parent := p.Parent
		if !known[parent] || parent == p.PID {
			parent = 0
		}
		children[parent] = append(children[parent], p)
	}
	var out []processView
	var add func(parent, indent int)
	add = func(parent, indent int) {
		below := children[parent]
		delete(children, parent) // a process that is its own ancestor is listed once
		for _, p := range below {
			out = append(out, newProcess(p, min(indent, 6)))
			add(p.PID, indent+1)
		}
	}
	add(0, 0)
	for _, p := range list {
		if _, left := children[p.Parent]; left {
			add(p.Parent, 0)
		}
	}
	return out
}

func newProcess(p api.Process, indent int) processView {
	return processView{
		PID: p.PID, Indent: indent, Name: text.Line(p.Name, 64), CPU: fmt.Sprintf("%.0f %%", max(0, p.CPU)*100),
		Seconds: fmt.Sprintf("%.1f s", p.CPUSeconds), Memory: text.Bytes(p.Memory), Age: age(p.Started), Paused: p.Paused,
	}
}
