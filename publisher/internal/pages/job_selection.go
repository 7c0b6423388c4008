package pages

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

const (
	maxForm = 128 << 10 // bytes of a form
	// actTime is how long one press of a button acts; then a page offers to go on.
	actTime = 5 * time.Second
)

// jobsOrder is what a form asks to do to many jobs.
type jobsOrder struct {
	selection operations.Selection
	query     url.Values // the filters of the list; empty where jobs are ticked
	confirmed bool
	done      int    // by the forms before this one
	back      string // id of the job on whose page the form is; empty for the list
}

func (o *jobsOrder) verb() operations.Verb { return o.selection.Verb }

// ActOnJobs asks for confirmation, and then applies a verb to the ticked jobs or to
// all that match, for at most actTime.
func (p *Pages) ActOnJobs(c echo.Context) error {
	o, err := readJobsOrder(c)
	if err != nil {
		return err
	}
	if !o.confirmed {
		return p.confirmJobs(c, o)
	}
	return p.actOnJobs(c, o)
}

func readJobsOrder(c echo.Context) (*jobsOrder, error) {
	form, err := httpio.ReadForm(c, maxForm)
	if err != nil {
		return nil, err
	}
	verb, err := verbNamed(form.Get("verb"))
	if err != nil {
		return nil, err
	}
	o := &jobsOrder{query: url.Values{}, confirmed: form.Get("confirm") == "yes", done: readCount(form.Get("done"))}
	if form.Get("all") == "yes" {
		err = o.selectAll(verb, form)
	} else {
		err = o.selectIDs(verb, form["id"])
	}
	o.selection.AsOf = readAsOf(form)
	if id := form.Get(fieldBack); jobs.ValidID(id) {
		o.back = id
	}
	return o, err
}

func verbNamed(name string) (operations.Verb, error) {
	i := slices.IndexFunc(operations.Verbs, func(v operations.Verb) bool { return string(v.Name) == name })
	if i < 0 {
		return operations.Verb{}, httpio.Problem(http.StatusBadRequest, "the form does not say what to do: verb is cancel, stop, terminate, retry, reset or delete")
	}
	return operations.Verbs[i], nil
}

// readAsOf returns when the page of a form was made, and now where it does not say.
func readAsOf(form url.Values) time.Time {
	ms, err := strconv.ParseInt(form.Get("as_of"), 10, 64)
	if err != nil {
		return time.Now()
	}
	return time.UnixMilli(ms)
}

func readCount(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return min(max(n, 0), 1<<40)
}

// selectAll selects every job that matches the filters.
func (o *jobsOrder) selectAll(verb operations.Verb, form url.Values) error {
	o.query = formFilter(form)
	filter, fault := readFormFilter(o.query)
	if fault != "" {
		return httpio.Problem(http.StatusBadRequest, fault)
	}
	o.selection = operations.SelectMatching(verb, filter)
	if !o.selection.Resume(form.Get("cursor")) {
		return httpio.Problem(http.StatusBadRequest, "the form's cursor is not one that this page has given out")
	}
	return nil
}

func (o *jobsOrder) selectIDs(verb operations.Verb, ids []string) error {
	if len(ids) == 0 {
		return httpio.Problem(http.StatusBadRequest, "no job is ticked; go back, tick some, or tick that all are meant")
	}
	if len(ids) > operations.MaxNamed {
		return httpio.Problem(http.StatusBadRequest, fmt.Sprintf("at most %d jobs can be ticked at a time", operations.MaxNamed))
	}
	for _, id := range ids {
		if !jobs.ValidID(id) {
			return httpio.Problem(http.StatusBadRequest, "the form names something that is no job")
		}
	}
	slices.Sort(ids)
	o.selection = operations.SelectNamed(verb, slices.Compact(ids))
	return nil
}

// confirmView asks for confirmation.
type confirmView struct {
	frame
	Heading      string
	Consequences []string
	After        string
	Button       string
	Grave        bool
	Nothing      bool // whether no job would change
	Action       string
	Hidden       []field
	Back         string
}

func (p *Pages) confirmJobs(c echo.Context, o *jobsOrder) error {
	n, err := p.cfg.Operations.Count(c.Request().Context(), o.selection)
	if err != nil {
		return err
	}
	words := verbWords[o.verb().Name]
	v := confirmView{
		frame: p.frame(c, "jobs", words.button+" jobs"), Heading: fmt.Sprintf("%s %s.", text.Capitalize(countText(n)), words.does),
		Consequences: consequences(o.verb(), n), After: afterText(o.verb(), n), Button: words.button + " " + countText(n), Grave: words.grave,
		Nothing: n.Total() == 0, Hidden: append(o.fields(), field{"as_of", fmt.Sprint(time.Now().UnixMilli())}),
	}
	if n.More {
		v.Button = words.button + " them all"
	}
	if v.Nothing {
		v.Heading = fmt.Sprintf("No job can be %s.", o.verb().Done)
	}
	v.Action = v.Root + "/jobs/act"
	v.Back, _ = o.leave(v.Root)
	return send(c, http.StatusOK, dashboardPolicy, "confirm", v)
}

// fieldBack is the field of a form with the id of the job on whose page it is.
const fieldBack = "back"

// fields returns the hidden fields that carry an order through a form.
func (o *jobsOrder) fields() []field {
	list := []field{{"verb", string(o.verb().Name)}, {"confirm", "yes"}}
	for _, id := range o.selection.Named() {
		list = append(list, field{"id", id})
	}
	if o.selection.Named() == nil {
		list = append(list, field{"all", "yes"})
		for _, name := range filterNames {
			if value := o.query.Get(name); value != "" {
				list = append(list, field{name, value})
			}
		}
	}
	if o.back != "" {
		list = append(list, field{fieldBack, o.back})
	}
	return list
}

// leave returns where a page after the form leads back to.
func (o *jobsOrder) leave(root string) (path, words string) {
	if o.back != "" {
		return root + "/jobs/" + o.back, "To the batch"
	}
	return root + "/jobs" + with(o.query, "", ""), "To the list"
}

// outcomeView says what was done.
type outcomeView struct {
	frame
	Heading  string
	Note     string
	Refusals []refusalView
	Passed   string // how many jobs were left alone
	Rest     string // how many refusals are not listed
	Action   string
	Hidden   []field // of the form that goes on; empty where nothing is left
	Back     string
	BackText string
}

type refusalView struct{ URL, Short, Detail string }

// actOnJobs acts until nothing is left or the time is up.
func (p *Pages) actOnJobs(c echo.Context, o *jobsOrder) error {
	done, err := p.cfg.Operations.ApplyUntil(c.Request().Context(), &o.selection, time.Now().Add(actTime), auth.CallerOf(c).By)
	if err != nil {
		return err
	}
	p.Forget()
	return send(c, http.StatusOK, dashboardPolicy, "outcome", p.outcome(c, o, done))
}

func (p *Pages) outcome(c echo.Context, o *jobsOrder, d operations.Outcome) outcomeView {
	o.done += d.Done
	v := outcomeView{frame: p.frame(c, "jobs", "Jobs "+o.verb().Done)}
	v.Heading = fmt.Sprintf("%s %s.", text.Capitalize(jobsText(o.done)), verbWords[o.verb().Name].did)
	if o.done == 0 && !d.More {
		v.Heading = "Nothing has been done."
	}
	if d.Stopped {
		v.Note = "The node could not go on. What is counted here is done; go on with the rest in a moment."
	} else if d.Running > 0 && o.verb().Name != ledger.VerbReset {
		v.Note = fmt.Sprintf("%s still running: their programs are ending.", text.IsAre(jobsText(d.Running), d.Running))
	}
	if d.Passed > 0 {
		v.Passed = text.IsAre(jobsText(d.Passed), d.Passed) + " left alone: changed since you looked."
	}
	v.refusals(d)
	v.Action = v.Root + "/jobs/act"
	v.Back, v.BackText = o.leave(v.Root)
	if d.More {
		v.Hidden = append(o.fields(), field{"as_of", fmt.Sprint(o.selection.AsOf.UnixMilli())}, field{"done", fmt.Sprint(o.done)})
		if cursor := o.selection.Cursor(); cursor != "" {
			v.Hidden = append(v.Hidden, field{"cursor", cursor})
		}
	}
	return v
}

func (v *outcomeView) refusals(d operations.Outcome) {
	for _, f := range d.Refusals {
		v.Refusals = append(v.Refusals, refusalView{URL: text.Link(v.Root + "/jobs/" + f.ID), Short: text.ShortID(f.ID), Detail: text.Line(f.Detail, 300)})
	}
	if rest := d.Refused - len(d.Refusals); rest > 0 {
		v.Rest = fmt.Sprintf("And %s more were refused.", text.Grouped(rest))
	}
}
