package publisher

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// count counts the jobs that are meant by state, up to a bound.
func (p *Publisher) count(ctx context.Context, o order) (counted, error) {
	n := counted{states: map[jobs.State]int{}}
	if o.ids == nil && o.everything() {
		counts, err := p.cfg.Ledger.Counts(ctx)
		for _, state := range o.states {
			n.states[state] = counts[state]
		}
		return n, err
	}
	end := time.Now().Add(countTime)
	for more := true; more; {
		if n.more = n.total() >= maxCounted || time.Now().After(end); n.more {
			break
		}
		var list []ledger.Record
		var err error
		if list, more, err = o.next(ctx, p.cfg.Ledger); err != nil {
			return n, err
		}
		n.add(o.verb, list)
	}
	return n, nil
}

func (n *counted) add(v verb, list []ledger.Record) {
	for _, rec := range list {
		if slices.Contains(v.states, rec.State) {
			n.states[rec.State]++
		} else {
			n.passed++
		}
	}
}

// everything reports whether the counts of the states say how many are meant.
func (o *order) everything() bool {
	return len(o.query) == 0 || len(o.query) == 1 && o.query.Has("state")
}

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

func (p *Publisher) confirmJobs(c echo.Context, o *order) error {
	n, err := p.count(c.Request().Context(), *o)
	if err != nil {
		return err
	}
	words := verbWords[o.verb.name]
	v := confirmView{
		frame: p.frame(c, "jobs", words.button+" jobs"), Heading: fmt.Sprintf("%s %s.", text.Capitalize(n.text()), words.does),
		Consequences: n.consequences(o.verb), After: n.after(o.verb), Button: words.button + " " + n.text(), Grave: words.grave,
		Nothing: n.total() == 0, Hidden: append(o.fields(), field{"as_of", fmt.Sprint(time.Now().UnixMilli())}),
	}
	if n.more {
		v.Button = words.button + " them all"
	}
	if v.Nothing {
		v.Heading = fmt.Sprintf("No job can be %s.", o.verb.done)
	}
	v.Action, v.Back = v.Root+"/jobs/act", v.Root+"/jobs"+with(o.query, "", "")
	return p.sendForm(c, http.StatusOK, "confirm", v)
}

// fields carry an order through a form.
func (o *order) fields() []field {
	list := []field{{"verb", string(o.verb.name)}, {"confirm", "yes"}}
	for _, id := range o.ids {
		list = append(list, field{"id", id})
	}
	if len(o.ids) == 0 {
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

// deed is what one press of a button has done.
type deed struct {
	api.Selected
	refused int
	passed  int // left alone because they have changed
	running int // asked to end
	more    bool
	stopped bool // by an error, after some were done
}

// actOnJobs acts in batches until all is done or the time is up.
func (p *Publisher) actOnJobs(c echo.Context, o *order) error {
	d, end := &deed{more: true}, time.Now().Add(actTime)
	for d.more && time.Now().Before(end) {
		before := *o
		list, more, err := o.next(c.Request().Context(), p.cfg.Ledger)
		if err == nil {
			err = p.actOnBatch(c, o, d, list)
		}
		if err != nil && d.Done+d.refused+d.passed == 0 {
			return err
		}
		if err != nil {
			p.log.Error("a form was carried out in part", "verb", o.verb.name, "done", d.Done, "err", err)
			*o, d.stopped = before, true
			break
		}
		d.more = more
	}
	p.pages.forget()
	return p.sendForm(c, http.StatusOK, "outcome", p.outcome(c, o, d))
}

func (p *Publisher) actOnBatch(c echo.Context, o *order, d *deed, list []ledger.Record) error {
	var ids []string
	for _, rec := range list {
		if o.changed(rec) {
			d.passed++
			continue
		}
		ids = append(ids, rec.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	acted, err := p.act(c, o.verb, ids)
	if err != nil {
		return err
	}
	before := d.Done
	o.verb.report(&d.Selected, acted)
	d.refused += len(ids) - (d.Done - before)
	for _, a := range acted {
		if a.Err == nil && a.Record.State == jobs.Running {
			d.running++
		}
	}
	return nil
}

func (p *Publisher) outcome(c echo.Context, o *order, d *deed) outcomeView {
	o.done += d.Done
	v := outcomeView{frame: p.frame(c, "jobs", "Jobs "+o.verb.done), BackText: "To the list"}
	v.Heading = fmt.Sprintf("%s %s.", text.Capitalize(jobsText(o.done)), verbWords[o.verb.name].did)
	if o.done == 0 && !d.more {
		v.Heading = "Nothing has been done."
	}
	if d.stopped {
		v.Note = "The node could not go on. What is counted here is done; go on with the rest in a moment."
	} else if d.running > 0 && o.verb.name != ledger.VerbReset {
		v.Note = fmt.Sprintf("%s still running: their programs are ending.", text.IsAre(jobsText(d.running), d.running))
	}
	if d.passed > 0 {
		v.Passed = text.IsAre(jobsText(d.passed), d.passed) + " left alone: changed since you looked."
	}
	v.refusals(d)
	v.Action, v.Back = v.Root+"/jobs/act", v.Root+"/jobs"+with(o.query, "", "")
	if d.more {
		v.Hidden = append(o.fields(), field{"as_of", fmt.Sprint(o.asOf.UnixMilli())}, field{"done", fmt.Sprint(o.done)})
		if cursor := o.cursor(); cursor != "" {
			v.Hidden = append(v.Hidden, field{"cursor", cursor})
		}
	}
	return v
}

func (v *outcomeView) refusals(d *deed) {
	for _, f := range d.Failed {
		v.Refusals = append(v.Refusals, refusalView{URL: text.Link(v.Root + "/jobs/" + f.ID), Short: text.ShortID(f.ID), Detail: text.Line(f.Detail, 300)})
	}
	if rest := d.refused - len(d.Failed); rest > 0 {
		v.Rest = fmt.Sprintf("And %s more were refused.", text.Grouped(rest))
	}
}

// sendForm answers with a page of the dashboard that is for this request only.
func (p *Publisher) sendForm(c echo.Context, status int, name string, v any) error {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, v); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", httpio.NoStore)
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Referrer-Policy", "same-origin")
	return c.Blob(status, typeHTML, page.Bytes())
}
