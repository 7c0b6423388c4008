package pages

import (
	"context"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// jobsPageSize is how many jobs a page lists.
const jobsPageSize = 50

// jobListView is the list of jobs with its filters.
type jobListView struct {
	frame
	Chips    []chip
	Filter   filterView
	Rows     []rowView
	Older    string // links to other parts of the list; empty where there is none
	Newest   string
	Back     text.Piece // how far back the search looked before it stopped
	Verbs    []verbButton
	All      string // what the box for all jobs means
	Empty    string
	Refusals bool
}

// chip is a link to the jobs in one state, with their number.
type chip struct {
	Text, Count, Tone, Query string
	Here                     bool
}

// verbButton is a button that applies a verb.
type verbButton struct {
	Verb, Text string
	Grave      bool
}

// JobList lists jobs.
func (p *Pages) JobList(c echo.Context) error {
	q := formFilter(c.QueryParams())
	cursor := c.QueryParam("cursor")
	return p.sendShared(c, "job_list.html", func(ctx context.Context) (any, error) {
		v := &jobListView{frame: p.frame(c, "jobs", "Jobs")}
		return v, p.fillJobList(ctx, v, q, cursor)
	})
}

func (p *Pages) fillJobList(ctx context.Context, v *jobListView, q url.Values, cursor string) error {
	filter, fault := readFormFilter(q)
	v.Filter = viewFilter(q)
	v.Filter.Fault = fault
	if err := p.addNames(ctx, &v.Filter); err != nil {
		return err
	}
	counts, err := p.cfg.Counts(ctx)
	if err != nil {
		return err
	}
	v.Chips = chips(counts, q)
	if fault != "" {
		return nil
	}
	filter.Cursor, filter.Limit = cursor, jobsPageSize
	page, err := p.cfg.Jobs(ctx, filter)
	if err != nil {
		return err
	}
	v.rows(page, q, cursor)
	return p.addReasons(ctx, v, page)
}

// addNames adds the programs and nodes that the form suggests.
func (p *Pages) addNames(ctx context.Context, v *filterView) error {
	programs, err := p.cfg.Programs(ctx)
	if err != nil {
		return err
	}
	nodes, err := p.cfg.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, program := range programs.Programs[:min(len(programs.Programs), jobview.MaxRows)] {
		v.Programs = append(v.Programs, text.Line(program.Name, text.NameLimit))
	}
	for _, n := range nodes {
		if len(v.Nodes) < jobview.MaxRows && !slices.Contains(v.Nodes, text.Line(n.Name, text.NameLimit)) {
			v.Nodes = append(v.Nodes, text.Line(n.Name, text.NameLimit))
		}
	}
	return nil
}

// chips returns a link for each state. The counts are those of all jobs, so they are
// left out where another filter is set.
func chips(counts map[jobs.State]int, q url.Values) []chip {
	current := q.Get("state")
	others := len(q) > 1 || len(q) == 1 && current == ""
	count := func(n int) string {
		if others {
			return ""
		}
		return text.Grouped(n)
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	list := []chip{{Text: "all", Count: count(total), Query: with(q, "state", ""), Here: current == ""}}
	for _, s := range jobs.States {
		c := chip{Text: string(s), Count: count(counts[s]), Query: with(q, "state", string(s)), Here: string(s) == current}
		if counts[s] > 0 {
			c.Tone = jobview.StateTone(s)
		}
		list = append(list, c)
	}
	return list
}

func (v *jobListView) rows(page api.Page, q url.Values, cursor string) {
	for _, r := range page.Jobs {
		v.Rows = append(v.Rows, row(v.Root, r))
	}
	if page.Next != "" {
		v.Older = with(q, "cursor", page.Next)
	}
	if cursor != "" {
		v.Newest = with(q, "cursor", "")
	}
	if !page.Back.IsZero() && page.Next != "" {
		v.Back = text.Moment(page.Back)
	}
	v.Empty = emptyList(v.Filter.Active, cursor != "")
	if v.CanAct {
		v.Verbs = verbButtons(jobs.State(q.Get("state")))
		v.All = "all that match, on every page"
		if !v.Filter.Active {
			v.All = "all jobs, on every page"
		}
	}
}

func emptyList(filtered, older bool) string {
	switch {
	case filtered:
		return "No job matches."
	case older:
		return "No older jobs."
	}
	return "No jobs yet."
}

// verbButtons returns the verbs that suit jobs in a state, or in any state for "". Jobs
// are deleted only from a list of one state.
func verbButtons(state jobs.State) []verbButton {
	var list []verbButton
	for _, v := range operations.Verbs {
		if w := verbWords[v.Name]; w.many && (state == "" && v.Name != ledger.VerbDelete || slices.Contains(v.States, state)) {
			list = append(list, verbButton{Verb: string(v.Name), Text: w.button, Grave: w.grave})
		}
	}
	return list
}

// addReasons adds why queued jobs wait, where the reason is the same for all jobs of
// their program.
func (p *Pages) addReasons(ctx context.Context, v *jobListView, page api.Page) error {
	nodes, err := p.cfg.Nodes(ctx)
	if err != nil {
		return err
	}
	known := map[string]string{}
	for i, r := range page.Jobs {
		if r.State != jobs.Queued || v.Rows[i].Note != "" {
			continue
		}
		if !r.NotBefore.IsZero() {
			v.Rows[i].Note = "starts not before " + r.NotBefore.UTC().Format("15:04:05") + " UTC"
			continue
		}
		reason, ok := known[r.Program]
		if !ok {
			reason = health.CapacityOf(nodes, r.Program).WaitReason(r.Program, 0, true)
			known[r.Program] = reason
		}
		v.Rows[i].Note = text.Line(reason, 200)
	}
	return nil
}
