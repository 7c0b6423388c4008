package pages

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/inputform"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// programView is the page about one program with all words chosen.
type programView struct {
	frame
	Row         programRow
	Trouble     string
	TroubleTone string
	Figures     []figureView
	Windows     []navLink
	Window      string
	Nodes       []programNode
	Failures    []classView
	Finished    chart.LineChart
	Durations   chart.Histogram
	Recent      []rowView
	AllJobs     string
	Schema      string // of the input, as JSON
	Form        *formView
}

type programNode struct{ Name, Path, SHA256, Short, Problem string }

// classView is one bar of a list: Value is its share of the longest.
type classView struct {
	Name, N string
	Bar     template.HTML
}

// formView is the form with which a person submits a job.
type formView struct {
	Action string
	Root   *inputform.Field
	// Nonce makes the same form, posted twice, the same job.
	Nonce  string
	Fault  string // of the whole
	URL    string // of the input, instead of the fields
	Labels string
	More   bool // the options are shown
	schema []byte
}

const maxRecent = 8

// Program is the page about one program.
func (p *Pages) Program(c echo.Context) error {
	name := c.Param("name")
	if !httpio.ProgramName.MatchString(name) {
		return echo.ErrNotFound
	}
	view, err := p.programPage(c, name, p.newForm)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, dashboardPolicy, "program.html", view)
}

// programPage is not kept for others: each form is a form of its own.
func (p *Pages) programPage(c echo.Context, name string, fill func(api.ProgramDetails, string) *formView) (*programView, error) {
	f := p.frame(c, "programs", text.Line(name, text.NameLimit))
	ctx := c.Request().Context()
	window := c.QueryParam("range")
	d, err := p.cfg.Program(ctx, name, cmp.Or(window, "24h"))
	if err != nil {
		return nil, err
	}
	v := newProgramView(f, d)
	if v.Recent, err = p.recentOf(ctx, f.Root, name); err != nil {
		return nil, err
	}
	if f.CanAct {
		v.Form = fill(d, f.Root)
	}
	return v, nil
}

func (p *Pages) recentOf(ctx context.Context, root, program string) ([]rowView, error) {
	page, err := p.cfg.Jobs(ctx, listing.Filter{Program: program, Limit: maxRecent})
	var rows []rowView
	for _, r := range page.Jobs {
		v := row(root, r)
		v.URL = text.Link(root + "/jobs/" + url.PathEscape(r.ID))
		rows = append(rows, v)
	}
	return rows, err
}

func newProgramView(f frame, d api.ProgramDetails) *programView {
	v := &programView{
		frame: f, Row: newProgramRow(f.Root, d.Program), Window: text.Line(d.Window.Name, 8),
		AllJobs: text.Link(f.Root + "/jobs?program=" + url.QueryEscape(d.Name)),
	}
	v.Trouble, v.TroubleTone = programTrouble(d.Program)
	v.Figures = programFigures(d)
	for _, w := range ranges {
		v.Windows = append(v.Windows, navLink{Path: "?range=" + w.name, Text: w.name, Here: w.name == d.Window.Name})
	}
	for _, n := range d.Nodes {
		v.Nodes = append(v.Nodes, programNode{
			Name: text.Line(n.Node, text.NameLimit), Path: text.Link(f.Root + "/nodes/" + url.PathEscape(n.Node)),
			SHA256: text.Line(n.SHA256, text.NameLimit), Short: shortHash(n.SHA256), Problem: text.Line(n.Problem, 300),
		})
	}
	v.Failures = classes(d.Failures)
	v.Finished = chart.Lines("Jobs ended per minute", "jobs per minute", d.Window, d.Finished, false)
	v.Durations = chart.Durations("Successes by how long they took", d.Durations, d.Mean)
	v.Schema = pretty(d.Input)
	return v
}

// programTrouble says at the top of the page what keeps jobs from running.
func programTrouble(p api.Program) (sentence, tone string) {
	sentence, tone = installedWords(p)
	i := slices.IndexFunc(p.Nodes, func(n api.InstalledOn) bool { return n.Problem != "" })
	switch {
	case i >= 0:
		sentence = "It " + sentence + ": " + text.Line(p.Nodes[i].Problem, 300) + "."
		if brokenNodes(p) == len(p.Nodes) {
			sentence += " Its jobs fail at once."
		} else {
			sentence += " Its jobs are left to the others."
		}
	case tone != "":
		sentence += ": jobs for it wait."
	default:
		sentence = ""
	}
	return sentence, tone
}

func programFigures(d api.ProgramDetails) []figureView {
	all, share, tone := successWords(d.Ended)
	list := []figureView{{all, "jobs ended", ""}}
	if share != "" {
		list = append(list, figureView{share, "succeeded", tone})
	}
	if d.Mean > 0 {
		list = append(list, figureView{text.Duration(text.Seconds(d.Mean)), "mean time of a success", ""})
	}
	queued := figureView{text.Grouped(d.Queue.DueNow()), "queued", ""}
	if d.Queue.Scheduled > 0 {
		queued.Meaning += " and " + text.Grouped(d.Queue.Scheduled) + " scheduled"
	}
	if !d.Queue.Oldest.IsZero() {
		queued.Meaning += ", the oldest for " + age(d.Queue.Oldest)
	}
	return append(list, queued, figureView{text.Grouped(d.Queue.Running), "running", ""})
}

// classes are bars, the longest first.
func classes(counts map[jobs.Outcome]int64) []classView {
	var names []jobs.Outcome
	for class := range counts {
		names = append(names, class)
	}
	slices.SortFunc(names, func(a, b jobs.Outcome) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var list []classView
	for _, class := range names {
		list = append(list, classView{
			Name: text.Line(string(class), text.NameLimit), N: text.Grouped(counts[class]),
			Bar: chart.Share(float64(counts[class]) / float64(max(1, counts[names[0]]))),
		})
	}
	return list
}

// pretty is a value as JSON with lines; empty for none.
func pretty(v any) string {
	if v == nil {
		return ""
	}
	raw, err := json.Marshal(v)
	var out bytes.Buffer
	if err != nil || json.Indent(&out, raw, "", "  ") != nil {
		return ""
	}
	return text.Lines(out.String(), jobview.MaxLogShown)
}
