package pages

import (
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// confirmView asks whether it is meant.
type confirmView struct {
	frame
	Heading      string
	Consequences []string
	After        string
	Button       string
	Grave        bool
	Nothing      bool // there is nothing to do
	Action       string
	Hidden       []field
	Back         string
}

// field is one hidden value of a form.
type field struct{ Name, Value string }

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
	v.Action, v.Back = v.Root+"/jobs/act", v.Root+"/jobs"+with(o.query, "", "")
	return send(c, http.StatusOK, dashboardPolicy, "confirm", v)
}

// fields carry an order through a form.
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
	return list
}

// outcomeView says what has been done.
type outcomeView struct {
	frame
	Heading  string
	Note     string
	Refusals []refusalView
	Passed   string // jobs that were left alone
	Rest     string // refusals that are not listed
	Action   string
	Hidden   []field // of the form that goes on; empty where all is done
	Back     string
	BackText string
}

type refusalView struct{ URL, Short, Detail string }

// actOnJobs acts until all is done or the time is up.
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
	v := outcomeView{frame: p.frame(c, "jobs", "Jobs "+o.verb().Done), BackText: "To the list"}
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
	v.Action, v.Back = v.Root+"/jobs/act", v.Root+"/jobs"+with(o.query, "", "")
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
