package publisher

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// maxForm bounds a form in bytes, maxTicked the jobs that one names.
	maxForm   = 128 << 10
	maxTicked = 1000
	// maxCounted and countTime bound what is counted before a person confirms.
	maxCounted = 20_000
	countTime  = time.Second
	// actTime is how long one press of a button acts.
	actTime = 5 * time.Second
)

// order is what a form asks of many jobs.
type order struct {
	verb   verb
	ids    []string
	query  url.Values // filters, where no ids are named
	states []jobs.State
	filter listing.Filter
	// asOf is when the person saw the jobs: a retry or a restart passes over what
	// has changed since, so that to send a form twice does nothing twice.
	asOf      time.Time
	confirmed bool
	done      int // by the calls before
}

// postJobsAct asks for confirmation first, and then acts on ticked jobs or on
// all that match, for a bounded time.
func (p *Publisher) postJobsAct(c echo.Context) error {
	o, err := readJobsOrder(c)
	if err != nil {
		return err
	}
	if !o.confirmed {
		return p.confirmJobs(c, o)
	}
	return p.actOnJobs(c, o)
}

func readJobsOrder(c echo.Context) (*order, error) {
	form, err := httpio.ReadForm(c, maxForm)
	if err != nil {
		return nil, err
	}
	o := &order{confirmed: form.Get("confirm") == "yes", asOf: readAsOf(form), done: readCount(form.Get("done"))}
	if o.verb, err = verbNamed(form.Get("verb")); err != nil {
		return nil, err
	}
	if form.Get("all") == "yes" {
		return o, o.selectAll(form)
	}
	return o, o.selectIDs(form["id"])
}

func verbNamed(name string) (verb, error) {
	i := slices.IndexFunc(verbs, func(v verb) bool { return string(v.name) == name })
	if i < 0 {
		return verb{}, httpio.Problem(http.StatusBadRequest, "the form does not say what to do: verb is cancel, stop, terminate, retry or reset")
	}
	return verbs[i], nil
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
func (o *order) selectAll(form url.Values) error {
	o.query = formFilter(form)
	filter, fault := readFormFilter(o.query)
	if fault != "" {
		return httpio.Problem(http.StatusBadRequest, fault)
	}
	o.filter, o.states = filter, o.verb.states
	if filter.State != "" {
		o.states = nil
		if slices.Contains(o.verb.states, filter.State) {
			o.states = []jobs.State{filter.State}
		}
	}
	return o.resume(form.Get("cursor"))
}

// resume goes on after the call before.
func (o *order) resume(cursor string) error {
	if cursor == "" {
		return nil
	}
	state, place, _ := strings.Cut(cursor, ".")
	at := slices.Index(o.states, jobs.State(state))
	if at < 0 || len(place) > httpio.MaxText {
		return httpio.Problem(http.StatusBadRequest, "the form's cursor is not one that this page has given out")
	}
	o.states, o.filter.Cursor = o.states[at:], place
	return nil
}

func (o *order) selectIDs(ids []string) error {
	if len(ids) == 0 {
		return httpio.Problem(http.StatusBadRequest, "no job is ticked; go back, tick some, or tick that all are meant")
	}
	if len(ids) > maxTicked {
		return httpio.Problem(http.StatusBadRequest, fmt.Sprintf("at most %d jobs can be ticked at a time", maxTicked))
	}
	for _, id := range ids {
		if !jobs.ValidID(id) {
			return httpio.Problem(http.StatusBadRequest, "the form names something that is no job")
		}
	}
	slices.Sort(ids)
	o.ids, o.query = slices.Compact(ids), url.Values{}
	return nil
}

// next lists the jobs of one batch, and whether there are more.
func (o *order) next(ctx context.Context, l *ledger.Ledger) (list []ledger.Record, more bool, err error) {
	if len(o.ids) > 0 {
		return o.nextNamed(ctx, l)
	}
	if len(o.states) == 0 {
		return nil, false, nil
	}
	o.filter.State, o.filter.Limit = o.states[0], actBatch
	page, err := l.List(ctx, o.filter)
	if err != nil {
		return nil, false, err
	}
	if o.filter.Cursor = page.Next; page.Next == "" {
		o.states = o.states[1:]
	}
	return page.Jobs, len(o.states) > 0, nil
}

func (o *order) nextNamed(ctx context.Context, l *ledger.Ledger) (list []ledger.Record, more bool, err error) {
	n := min(len(o.ids), actBatch)
	for _, id := range o.ids[:n] {
		rec, err := l.Get(ctx, id)
		if isUnknown(err) {
			rec, err = ledger.Record{ID: id}, nil
		}
		if err != nil {
			return nil, false, err
		}
		list = append(list, rec)
	}
	o.ids = o.ids[n:]
	return list, len(o.ids) > 0, nil
}

// cursor says where the next call goes on; empty after the last.
func (o *order) cursor() string {
	if len(o.states) == 0 {
		return ""
	}
	return string(o.states[0]) + "." + o.filter.Cursor
}

// changed reports whether a job is not any more what the person saw.
func (o *order) changed(rec ledger.Record) bool {
	again := o.verb.name == ledger.VerbRetry || o.verb.name == ledger.VerbReset
	return again && rec.Updated.After(o.asOf)
}
