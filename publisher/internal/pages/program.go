package pages

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/counted"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// programView is the page about one program.
type programView struct {
	frame
	Row         programRow
	Trouble     string
	TroubleTone string
	Figures     []figure
	Windows     []navLink
	Window      string
	Nodes       []installedView
	Warm        warmList
	Failures    []partView
	Finished    chart.LineChart
	Counted     *counted.View
	Durations   chart.Histogram
	Recent      []rowView
	AllJobs     string
	Schema      string // of the input, as JSON
	Form        *formView
}

const maxRecent = 8

// Program shows a program, with a form that submits a job.
func (p *Pages) Program(c echo.Context) error {
	name := c.Param("name")
	if !httpio.ProgramName.MatchString(name) {
		return echo.ErrNotFound
	}
	view, err := p.programPage(c, name, newForm)
	if err != nil {
		return err
	}
	return send(c, http.StatusOK, dashboardPolicy, "program.html", view)
}

// programPage returns the page about a program. fill makes its form. The page is not
// shared, since each form has a nonce of its own.
func (p *Pages) programPage(c echo.Context, name string, fill func(api.ProgramDetails, string) *formView) (*programView, error) {
	f := p.frame(c, "programs", text.Line(name, text.NameLimit))
	ctx := c.Request().Context()
	window := c.QueryParam("range")
	d, err := p.cfg.Program(ctx, name, cmp.Or(window, "24h"))
	if err != nil {
		return nil, err
	}
	v := newProgramView(f, d)
	counters, err := p.cfg.Counters(ctx, name, "", d.Window.Name)
	if err != nil {
		return nil, err
	}
	v.Counted = counted.OfProgram(counters)
	recent, err := p.cfg.Jobs(ctx, listing.Filter{Program: name, Limit: maxRecent})
	if err != nil {
		return nil, err
	}
	for _, r := range recent.Jobs {
		v.Recent = append(v.Recent, row(f.Root, r))
	}
	nodes, err := p.cfg.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	v.Warm = programWarm(f.Root, name, nodes)
	if f.CanAct {
		v.Form = fill(d, f.Root)
	}
	return v, nil
}

func newProgramView(f frame, d api.ProgramDetails) *programView {
	v := &programView{
		frame: f, Row: newProgramRow(f.Root, d.Program), Window: text.Line(d.Window.Name, 8),
		AllJobs: text.Link(f.Root + "/jobs?program=" + url.QueryEscape(d.Name)),
	}
	v.Trouble, v.TroubleTone = programTrouble(d.Program)
	v.Figures = programFigures(d)
	v.Windows = windowLinks(d.Window.Name)
	for _, n := range d.Nodes {
		v.Nodes = append(v.Nodes, installedView{
			Name: text.Line(n.Node, text.NameLimit), Path: text.Link(f.Root + "/nodes/" + url.PathEscape(n.Node)),
			SHA256: text.Line(n.SHA256, text.NameLimit), Short: shortHash(n.SHA256), Note: text.Line(n.Problem, 300), NoteTone: "bad",
		})
	}
	var most int64
	for _, n := range d.Failures {
		most = max(most, n)
	}
	v.Failures = parts(d.Failures, most, func(o jobs.Outcome) string { return text.Line(string(o), text.NameLimit) })
	v.Finished = chart.Lines("Jobs ended per minute", "jobs per minute", d.Window, d.Finished, false)
	v.Durations = chart.Durations("Successes by how long they took", d.Durations, d.Mean)
	v.Schema = pretty(d.Input)
	return v
}

// programTrouble says what keeps jobs of a program from running.
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

func programFigures(d api.ProgramDetails) []figure {
	all, share, tone := successWords(d.Ended)
	list := []figure{{Number: all, Meaning: "jobs ended"}}
	if share != "" {
		list = append(list, figure{Number: share, Meaning: "succeeded", Tone: tone})
	}
	if d.Mean > 0 {
		list = append(list, figure{Number: text.Duration(text.Seconds(d.Mean)), Meaning: "mean time of a success"})
	}
	queued := figure{Number: text.Grouped(d.Queue.DueNow()), Meaning: "queued"}
	if d.Queue.Scheduled > 0 {
		queued.Meaning += " and " + text.Grouped(d.Queue.Scheduled) + " scheduled"
	}
	if !d.Queue.Oldest.IsZero() {
		queued.Meaning += ", the oldest for " + age(d.Queue.Oldest)
	}
	return append(list, queued, figure{Number: text.Grouped(d.Queue.Running), Meaning: "running"},
		figure{Number: text.Grouped(int64(d.Weight)), Meaning: "weight"})
}

// pretty returns a value as indented JSON, and "" for nil.
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

// Submit submits the job that a form describes, and leads to its page.
func (p *Pages) Submit(c echo.Context) error {
	name := c.Param("name")
	if !httpio.ProgramName.MatchString(name) {
		return echo.ErrNotFound
	}
	if err := p.cfg.Operations.TakesJobs(); err != nil {
		return err
	}
	posted, err := httpio.ReadForm(c, jobs.MaxDocument)
	if err != nil {
		return err
	}
	var filled *formView
	view, err := p.programPage(c, name, func(d api.ProgramDetails, root string) *formView {
		filled = newForm(d, root)
		return filled
	})
	if err != nil {
		return err
	}
	if filled == nil {
		return httpio.Problem(http.StatusForbidden, "you may look here and not submit jobs")
	}
	id, err := p.submit(c, name, filled, posted)
	if err != nil {
		return err
	}
	if id == "" {
		return send(c, http.StatusUnprocessableEntity, dashboardPolicy, "program.html", view)
	}
	return p.see(c, "/jobs/"+id)
}

// submit returns the id of the job. The id is empty where the form says what is wrong.
func (p *Pages) submit(c echo.Context, program string, f *formView, posted url.Values) (string, error) {
	document, ok := f.document(c.Request().Context(), program, posted)
	if !ok {
		return "", nil
	}
	document, err := jobdoc.Complete(document, p.cfg.BaseURL, time.Now())
	var accepted ledger.Accepted
	if err == nil {
		accepted, err = p.cfg.Operations.Accept(c.Request().Context(), document, auth.CallerOf(c).By)
	}
	var fault *jobs.Fault
	if errors.As(err, &fault) {
		f.Fault = text.Line(fault.Error(), 400)
		return "", nil
	}
	return accepted.Record.ID, err
}
