package apihttp

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// GetEvents answers with what was done as a list, or with what happens as a
// stream, whichever the client likes better.
func (a *API) GetEvents(c echo.Context) error {
	if httpio.WantsStream(c.Request()) {
		return a.cfg.Stream(c)
	}
	filter, err := parseEventFilter(c.QueryParams())
	if err != nil {
		return err
	}
	page, err := a.cfg.Events.Page(c.Request().Context(), filter)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Vary", a.cfg.Auth.Vary("Accept"))
	return httpio.SendJSON(c, http.StatusOK, page)
}

// parseEventFilter reads the query of a list of events. Whatever it does not
// know, or finds twice, is an error that names the parameter.
func parseEventFilter(q url.Values) (eventlog.Filter, error) {
	var f eventlog.Filter
	err := httpio.ReadQuery(q, func(name, value string) string { return setEventFilter(&f, name, value) })
	return f, err
}

// setEventFilter sets one field and returns what is wrong with the value, if anything.
func setEventFilter(f *eventlog.Filter, name, value string) string {
	switch name {
	case "kind":
		f.Kind = value
	case "node":
		f.Node = value
	case "text":
		f.Text = value
	case "cursor":
		f.Cursor = value
	case "job":
		if f.Job = value; !jobs.ValidID(value) {
			return "is a job's id, a lower-case UUID"
		}
	case "by":
		human := value == "human"
		if f.Human = &human; !human && value != "machine" {
			return "is human or machine"
		}
	case "since":
		return httpio.SetTime(&f.Since, value)
	case "until":
		return httpio.SetTime(&f.Until, value)
	case "limit":
		n, err := strconv.Atoi(value)
		if f.Limit = n; err != nil || n < 1 || n > httpio.MaxPage {
			return "is a number from 1 to 1000"
		}
	default:
		return "is not known here; kind, node, job, by, since, until, text, cursor and limit are"
	}
	return httpio.TextFault(value)
}
