package pages

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// overviewView is the overview.
type overviewView struct {
	frame
	Ranges, Kinds []navLink // links to other windows, and to lines by node or program
	Span          string    // the window in words
	Figures       []figure
	Notices       [][]text.Piece // what is drained
	Findings      []findingView
	Finished      chart.LineChart
	Depth         chart.LineChart
	Oldest        text.Piece // when the oldest queued job was due
	Running       []rowView
	RunningAll    string // how many jobs run
	Failures      []partView
	Unfinished    string
	Queues        []queueView
	Nodes         []nodeLine
	MoreNodes     string
	Servers       []serverView
	Events        []eventRow
	Begin         []string // commands for a first start
	BeginWith     string
}

type findingView struct {
	Tone, Level, Text, Path string
}

type queueView struct {
	Program, Path, Queued, Scheduled, Running, Waiting string
	Oldest                                             text.Piece
}

// Overview shows the first page of the dashboard.
func (p *Pages) Overview(c echo.Context) error {
	q := c.QueryParams()
	for _, name := range slices.Sorted(maps.Keys(q)) {
		known := name == "range" || name == "by" && slices.Contains([]string{"node", "program"}, q.Get(name))
		if !known || len(q[name]) != 1 {
			return httpio.BadParameter(name, "is not known here; range is, and by, which is node or program")
		}
	}
	return p.sendShared(c, "overview.html", func(ctx context.Context) (any, error) {
		o, err := p.cfg.Overview(ctx, q.Get("range"))
		if err != nil {
			return nil, err
		}
		return newOverviewView(p.frame(c, "overview", "Overview"), o, q.Get("by")), nil
	})
}

// defaultWindow is the window where a request names none.
const defaultWindow = "1h"

// ranges are the names of the windows, with the words for them.
var ranges = []struct{ name, short, long string }{
	{"15m", "15 min", "in 15 minutes"},
	{"1h", "1 h", "in the last hour"},
	{"6h", "6 h", "in 6 hours"},
	{"24h", "24 h", "in 24 hours"},
	{"7d", "7 d", "in 7 days"},
	{"30d", "30 d", "in 30 days"},
}

// windowLinks returns the links to all windows of a page. here is that which it shows.
func windowLinks(here string) (list []navLink) {
	for _, w := range ranges {
		list = append(list, navLink{Path: "?range=" + w.name, Text: w.name, Here: w.name == here})
	}
	return list
}

func newOverviewView(f frame, o api.Overview, by string) *overviewView {
	v := &overviewView{frame: f, RunningAll: text.Grouped(o.Counts[jobs.Running]), Notices: notices(api.Drains{Queue: o.Queue.Drained})}
	v.links(o.Window.Name, by)
	v.figures(o)
	v.findings(o.Verdict.Findings)
	v.plots(o, by)
	for _, r := range o.Running {
		v.Running = append(v.Running, runningRow(f.Root, r))
	}
	v.failures(o)
	v.queues(o)
	v.nodes(o)
	for _, s := range o.Servers {
		v.Servers = append(v.Servers, serverOf(s))
	}
	for _, e := range o.Events {
		v.Events = append(v.Events, eventOf(f.Root, e))
	}
	v.begin(o)
	return v
}

// links sets the links to other windows, and to lines by node or program.
func (v *overviewView) links(window, by string) {
	query := func(window, by string) string {
		q := url.Values{}
		if window != defaultWindow {
			q.Set("range", window)
		}
		if by == "program" {
			q.Set("by", by)
		}
		if len(q) == 0 {
			return v.Root + "/"
		}
		return v.Root + "/?" + q.Encode()
	}
	for _, r := range ranges {
		v.Ranges = append(v.Ranges, navLink{Path: query(r.name, by), Text: r.short, Here: r.name == window})
		if r.name == window {
			v.Span = r.long
		}
	}
	v.Kinds = []navLink{
		{Path: query(window, ""), Text: "by node", Here: by != "program"},
		{Path: query(window, "program"), Text: "by program", Here: by == "program"},
	}
}

func (v *overviewView) figures(o api.Overview) {
	jobsIn := func(state jobs.State) string { return v.Root + "/jobs?state=" + string(state) }
	hour := total(o.LastHour)
	v.Figures = []figure{
		{Number: text.Grouped(hour), Meaning: "finished in the last hour", Path: jobsIn(jobs.Succeeded)},
		{Number: text.Grouped(o.Busy), Of: "of " + text.Count(o.Slots, "slot", "slots"), Meaning: "busy", Path: jobsIn(jobs.Running)},
		v.queued(o, jobsIn(jobs.Queued)),
		v.succeeded(o),
		v.failed(o, jobsIn(jobs.Failed)),
	}
}

func (v *overviewView) queued(o api.Overview, path string) figure {
	f := figure{Number: text.Grouped(o.Queue.DueNow()), Meaning: "queued", Path: path}
	if o.Queue.Scheduled > 0 {
		f.Of = "and " + text.Grouped(o.Queue.Scheduled) + " scheduled"
	}
	if o.Queue.Waiting > 0 {
		f.Of = strings.TrimPrefix(f.Of+", "+text.Grouped(o.Queue.Waiting)+" waiting", ", ")
		if o.Queue.Scheduled == 0 {
			f.Of = "and " + f.Of
		}
	}
	if !o.Queue.Oldest.IsZero() {
		f.Meaning, f.Since = "queued, the oldest ", text.Moment(o.Queue.Oldest)
	}
	return f
}

// succeeded returns the share of successes among the jobs that ended in the window.
// Cancelled jobs do not count.
func (v *overviewView) succeeded(o api.Overview) figure {
	good, bad := o.Ended[jobs.Succeeded], o.Ended[jobs.Failed]
	f := figure{Number: "–", Meaning: "no job has ended " + v.Span}
	if good+bad > 0 {
		f.Number, f.Meaning = sharePercent(float64(good)/float64(good+bad)), "succeeded "+v.Span
	}
	return f
}

func (v *overviewView) failed(o api.Overview, path string) figure {
	n := o.Ended[jobs.Failed]
	f := figure{Number: text.Grouped(n), Meaning: "failed " + v.Span, Path: path}
	if n > 0 {
		f.Tone = "bad"
	}
	if n := o.Ended[jobs.Cancelled]; n > 0 {
		f.Of = "and " + text.Grouped(n) + " cancelled"
	}
	return f
}

// findings lists the faults where there are several. A single one is in the verdict.
func (v *overviewView) findings(list []api.Finding) {
	for _, f := range list {
		if f.Level != api.LevelOK {
			v.Findings = append(v.Findings, finding(v.Root, f))
		}
	}
	if len(v.Findings) < 2 {
		v.Findings = nil
	}
}

func finding(root string, f api.Finding) findingView {
	v := findingView{Tone: levelTone(f.Level), Text: text.Line(f.Text, 300), Level: "Act on this"}
	if f.Level == api.LevelWarn {
		v.Level = "Look at this"
	}
	if f.Path != "" {
		v.Path = text.Link(root + f.Path)
	}
	return v
}

func (v *overviewView) plots(o api.Overview, by string) {
	list, what := o.FinishedByNode, "Jobs finished by node"
	if by == "program" {
		list, what = o.FinishedByProgram, "Jobs finished by program"
	}
	v.Finished = chart.Lines(what, "jobs per minute", o.Window, list, false)
	v.Depth = chart.Lines("Jobs that were queued, running and waiting", "jobs", o.Window, o.Depth, true)
	if !o.Queue.Oldest.IsZero() {
		v.Oldest = text.Moment(o.Queue.Oldest)
	}
}

func (v *overviewView) failures(o api.Overview) {
	v.Failures = parts(o.Failures, total(o.Failures), jobview.ErrorWords)
	for i, outcome := range largest(o.Unfinished) {
		if i > 0 {
			v.Unfinished += ", "
		}
		v.Unfinished += text.Grouped(o.Unfinished[outcome]) + " " + text.Line(string(outcome), text.NameLimit)
	}
}

func (v *overviewView) queues(o api.Overview) {
	for _, q := range o.Queue.Programs[:min(len(o.Queue.Programs), maxParts)] {
		line := queueView{
			Program: text.Line(q.Program, text.NameLimit), Path: text.Link(v.Root + "/programs/" + url.PathEscape(q.Program)),
			Queued: text.Grouped(q.DueNow()), Scheduled: text.Grouped(q.Scheduled), Running: text.Grouped(q.Running), Waiting: text.Grouped(q.Waiting),
		}
		if !q.Oldest.IsZero() {
			line.Oldest = text.Moment(q.Oldest)
		}
		v.Queues = append(v.Queues, line)
	}
}

// maxNodeLines is how many nodes the overview lists.
const maxNodeLines = 12

func (v *overviewView) nodes(o api.Overview) {
	list := slices.Clone(o.Nodes)
	slices.SortStableFunc(list, func(a, b api.Node) int {
		return cmp.Or(cmp.Compare(health.StateOf(b, o.At).Concern(), health.StateOf(a, o.At).Concern()), cmp.Compare(a.Name, b.Name))
	})
	for _, n := range list[:min(len(list), maxNodeLines)] {
		v.Nodes = append(v.Nodes, nodeLineOf(v.Root, n, o.At))
	}
	if more := len(list) - maxNodeLines; more > 0 {
		v.MoreNodes = text.Count(more, "more node", "more nodes")
	}
}

// begin says what to do where there is no node, no program or no job yet.
func (v *overviewView) begin(o api.Overview) {
	switch programs := slices.ContainsFunc(o.Nodes, func(n api.Node) bool { return len(n.Programs) > 0 }); {
	case len(o.Nodes) == 0:
		v.BeginWith = "No node has said that it is there. Start one on any machine that reaches beanstalkd and the ledger:"
		v.Begin = []string{"runnerbean worker"}
	case !programs:
		v.BeginWith = "No node has a program yet. A program is an executable that reads JSON and prints JSON; put one into the programs folder, where it is found without a restart:"
		v.Begin = []string{`printf '#!/bin/sh\ncat\n' > programs/echo`, "chmod 755 programs/echo"}
	case total(o.Counts) == 0:
		v.BeginWith = "No job has come yet. Submit one from a shell, from your web server, or on the page of a program:"
		v.Begin = []string{fmt.Sprintf("runnerbean submit --program %s --data '{}' --wait", firstProgram(o.Nodes))}
	}
}

func firstProgram(nodes []api.Node) string {
	for _, n := range nodes {
		if len(n.Programs) > 0 {
			return text.Line(n.Programs[0], text.NameLimit)
		}
	}
	return "NAME"
}

// runningRow returns the row of a running job, which shows the time left or else the
// time of its start.
func runningRow(root string, r jobs.Result) rowView {
	v := row(root, r)
	v.Took = strings.TrimSuffix(v.Took, " left")
	if !r.Started.IsZero() {
		v.Created = text.Moment(r.Started)
	}
	return v
}

// serverView is a beanstalkd server on the overview.
type serverView struct {
	Addr, Tone, State, Version                        string
	Inbox                                             string // messages whose documents no node has recorded yet
	Ready, Reserved, Delayed, Buried, Overdue, Memory string
	ReservedTone, BuriedTone, OverdueTone             string
	Since                                             text.Piece
}

func serverOf(s api.Server) serverView {
	v := serverView{
		Addr: text.Line(s.Addr, text.NameLimit), Version: text.Line(s.Version, 20), Tone: "ok", State: "up",
		Inbox: text.Grouped(s.Inbox), Ready: text.Grouped(s.Ready), Reserved: text.Grouped(s.Reserved), Delayed: text.Grouped(s.Delayed), Buried: text.Grouped(s.Buried),
		Overdue: text.Grouped(s.Overdue), Memory: "–",
	}
	if !s.Since.IsZero() {
		v.Since = text.Moment(s.Since)
	}
	if s.Memory > 0 {
		v.Memory = text.Bytes(s.Memory)
	}
	if s.Buried > 0 {
		v.BuriedTone = "warn"
	}
	if s.Overdue > 0 {
		v.OverdueTone = "warn"
	}
	switch {
	case !s.OK:
		v.Tone, v.State = "bad", "down"
		if s.Error != "" {
			v.State += ": " + text.Line(strings.TrimSpace(s.Error), 200)
		}
		v.Inbox, v.Ready, v.Reserved, v.Delayed, v.Buried, v.Overdue, v.Memory = "–", "–", "–", "–", "–", "–", "–"
	case s.Draining:
		v.Tone, v.State = "warn", "drains: takes no messages"
	case s.State == api.ServerFull:
		v.Tone, v.State = "warn", "full: has refused a message"
	case s.State == api.ServerSlow:
		v.Tone, v.State = "warn", "slow"
	}
	return v
}
