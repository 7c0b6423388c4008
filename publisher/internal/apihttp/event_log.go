package apihttp

import (
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// GetEvents answers with a list of past events, or with a stream of new ones where the
// client prefers that.
func (a *API) GetEvents(c echo.Context) error {
	if httpio.WantsStream(c.Request()) {
		return a.streamNews(c)
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

// parseEventFilter reads the query of a list of events.
func parseEventFilter(q url.Values) (eventlog.Filter, error) {
	var f eventlog.Filter
	err := httpio.ReadQuery(q, func(name, value string) string { return setEventFilter(&f, name, value) })
	return f, err
}

// setEventFilter sets the field that a parameter names, and returns what is wrong with
// the value or "".
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
		return httpio.SetLimit(&f.Limit, value)
	default:
		return "is not known here; kind, node, job, by, since, until, text, cursor and limit are"
	}
	return httpio.TextFault(value)
}
