package pages

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

const (
	maxForm = 128 << 10 // bytes of a form
	// actTime is how long one press of a button acts.
	actTime = 5 * time.Second
)

// jobsOrder is what a form asks of many jobs.
type jobsOrder struct {
	selection operations.Selection
	query     url.Values // the filters of the list, where no ids are named
	confirmed bool
	done      int // by the calls before
}

func (o *jobsOrder) verb() operations.Verb { return o.selection.Verb }

// ActOnJobs asks for confirmation first, and then acts on ticked jobs or on
// all that match, for a bounded time.
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
	return o, err
}

func verbNamed(name string) (operations.Verb, error) {
	i := slices.IndexFunc(operations.Verbs, func(v operations.Verb) bool { return string(v.Name) == name })
	if i < 0 {
		return operations.Verb{}, httpio.Problem(http.StatusBadRequest, "the form does not say what to do: verb is cancel, stop, terminate, retry or reset")
	}
	return operations.Verbs[i], nil
}

// readAsOf is when the page was made, as the form says; now where it does not.
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

// selectAll means every job that matches.
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
