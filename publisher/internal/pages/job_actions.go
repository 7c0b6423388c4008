package pages

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// verbRerun makes a new job of an old one. It is not a verb of the ledger.
const verbRerun = "rerun"

// jobButtons returns the verbs that a job allows now, the harmless ones first.
func jobButtons(d api.Details, rec ledger.Record) []verbButton {
	var list []verbButton
	offer := func(name ledger.Verb, text string) {
		if slices.Contains(d.Allowed, string(name)) {
			list = append(list, verbButton{Verb: string(name), Text: text, Grave: grave(name, rec.State)})
		}
	}
	cancel := "Cancel"
	if d.Loop != nil {
		cancel = "Stop the loop"
	}
	switch rec.State {
	case jobs.Waiting:
		offer(ledger.VerbCancel, cancel)
	case jobs.Queued:
		if rec.Wait(time.Now()) > 0 && !rec.StartAfter.After(time.Now()) { // a reset keeps to the document
			offer(ledger.VerbReset, "Do not wait")
		}
		offer(ledger.VerbCancel, cancel)
	case jobs.Running:
		offer(ledger.VerbCheckpoint, "Checkpoint")
		offer(ledger.VerbReset, "Restart")
		offer(ledger.VerbCancel, cancel)
		offer(ledger.VerbTerminate, "Terminate")
	case jobs.Failed, jobs.Cancelled:
		offer(ledger.VerbRetry, "Retry")
	}
	offer(ledger.VerbEndLoop, verbWords[ledger.VerbEndLoop].button)
	offer(ledger.VerbDelete, "Delete")
	if rec.State.Final() && d.Job.ID != "" {
		list = append(list, verbButton{Verb: verbRerun, Text: "Run again as a new job"})
	}
	return list
}

// grave reports whether a verb may lose work, so that a page asks for confirmation.
func grave(name ledger.Verb, state jobs.State) bool {
	return verbWords[name].grave && (name != ledger.VerbReset || state == jobs.Running)
}

// ActOnJob applies the verb of a button on a job's page, and leads back there.
func (p *Pages) ActOnJob(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	form, err := httpio.ReadForm(c, maxForm)
	if err != nil {
		return err
	}
	if form.Get("verb") == verbRerun {
		return p.rerunFromPage(c, id)
	}
	v := operations.EndLoop
	if name := form.Get("verb"); name != string(v.Name) {
		if v, err = verbNamed(name); err != nil {
			return err
		}
	}
	rec, err := p.cfg.Record(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if stale(c, v, rec, form.Get("confirm") == "yes") {
		return p.sayRefusal(c, id, fmt.Sprintf("The job has changed since you looked: it is %s now.", rec.State))
	}
	if form.Get("confirm") != "yes" && (grave(v.Name, rec.State) || c.QueryParam("seen") == "") && v.Suits(rec.State) {
		return p.confirmJob(c, v, rec)
	}
	return p.actOnJob(c, v, id)
}

// stale reports whether a job has changed since the person saw it. That matters for
// a retry and a restart: a form that is sent twice must not act twice. A form that
// does not say what was seen has to be confirmed on a page that does.
func stale(c echo.Context, v operations.Verb, rec ledger.Record, confirmed bool) bool {
	given := c.QueryParam("seen")
	if v.Name != ledger.VerbRetry && v.Name != ledger.VerbReset || given == "" && !confirmed {
		return false
	}
	return given != seen(rec)
}

// seen returns a value that changes with each change of a job.
func seen(rec ledger.Record) string { return strconv.FormatInt(rec.Updated.UnixMicro(), 10) }

func (p *Pages) actOnJob(c echo.Context, v operations.Verb, id string) error {
	_, err := p.cfg.Operations.Apply(c.Request().Context(), v, ledger.Target{ID: id}, auth.CallerOf(c).By)
	var refused *jobs.Problem
	if errors.As(err, &refused) && refused.Status == http.StatusConflict {
		return p.sayRefusal(c, id, text.Capitalize(refused.Detail)+".")
	}
	if err != nil {
		return err
	}
	if v.Name == ledger.VerbDelete {
		p.Forget()
		return p.see(c, "/jobs")
	}
	return p.see(c, "/jobs/"+id)
}

func (p *Pages) confirmJob(c echo.Context, v operations.Verb, rec ledger.Record) error {
	words := verbWords[v.Name]
	n := operations.Count{States: map[jobs.State]int{rec.State: 1}}
	view := confirmView{
		frame: p.frame(c, "jobs", words.button), Heading: words.button + " this job?", After: words.after,
		Button: words.button, Grave: true, Hidden: []field{{"verb", string(v.Name)}, {"confirm", "yes"}},
	}
	if v.Name == ledger.VerbEndLoop {
		view.Heading = "End the loop of this job for good?"
	}
	view.Consequences = append([]string{text.Line(rec.Program, text.NameLimit) + " " + text.ShortID(rec.ID)}, consequences(v, n)...)
	view.Back = view.Root + "/jobs/" + rec.ID
	view.Action = view.Back + "/act?seen=" + seen(rec)
	return send(c, http.StatusOK, dashboardPolicy, "confirm", view)
}

// sayRefusal shows why a button did nothing.
func (p *Pages) sayRefusal(c echo.Context, id, detail string) error {
	v := outcomeView{frame: p.frame(c, "jobs", "Not done"), Heading: "Nothing has been done.", Note: text.Line(detail, 600)}
	v.Back, v.BackText = v.Root+"/jobs/"+id, "To the job"
	return send(c, http.StatusConflict, dashboardPolicy, "outcome", v)
}

// rerunSlack is the time within which the same button makes the same new job.
const rerunSlack = 10 * time.Second

// rerunFromPage runs a job that has ended again, as a new job. The new id is derived
// from the old one and the time, so that a button that is pressed twice makes one
// job.
func (p *Pages) rerunFromPage(c echo.Context, id string) error {
	again := operations.SecretID(auth.CallerOf(c), "page", id, time.Now().Truncate(rerunSlack).String())
	if _, err := p.cfg.Operations.Rerun(c.Request().Context(), id, again, auth.CallerOf(c).By); err != nil {
		return err
	}
	return p.see(c, "/jobs/"+again)
}
