package pages

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// notice is the page that a visitor gets instead of a result: the job has not
// arrived, or an error. It says nothing about the node.
type notice struct {
	Root, Heading, Detail, Instance string
	// Refresh is after how many seconds the page loads again; 0 for never. Where the
	// job is awaited, this is for browsers without scripts.
	Refresh int
	SignIn  string // link to the login; empty where that would not help
	// Awaited tells that the job may still arrive, and Late that it should be here.
	Awaited, Late bool
	Waiting, ID   string
}

const (
	// overdueAfter is the age of an id after which its job should be known.
	// After longOverdue the page loads again less often.
	overdueAfter = 2 * time.Minute
	longOverdue  = 24 * time.Hour
)

// SendNotice answers an error outside of the dashboard with a page, where a browser
// has asked. It reports whether it did.
func (p *Pages) SendNotice(c echo.Context, answer *jobs.Problem, err error) bool {
	if !p.isForPeople(c) {
		return false
	}
	v := p.notice(c, answer)
	if id := c.Param("id"); answer.Status == http.StatusNotFound && errors.Is(err, ledger.ErrUnknown) && jobs.ValidID(id) {
		v.await(id, time.Now())
	}
	return send(c, answer.Status, resultPolicy, "notice.html", v) == nil
}

// isForPeople reports whether a request gets a page: a browser has sent it, and not to
// a route of the API or of scripts.
func (p *Pages) isForPeople(c echo.Context) bool {
	needs, path := p.cfg.Level(c.Path()), c.Request().URL.Path
	if needs == auth.Anyone || strings.HasPrefix(path, "/api/") || path == "/metrics" {
		return false
	}
	if needs == auth.Holder {
		if html, err := httpio.WantsHTML(c); err == nil {
			return html
		}
	}
	return httpio.WantsPage(c.Request())
}

// notice returns the words for a problem.
func (p *Pages) notice(c echo.Context, answer *jobs.Problem) notice {
	v := notice{
		Root: p.root, Heading: text.Line(answer.Title, text.NameLimit),
		Detail: text.Line(text.Capitalize(answer.Detail), 1000), Instance: text.Line(answer.Instance, 100),
	}
	if v.Detail != "" {
		v.Detail += "."
	}
	switch answer.Status {
	case http.StatusUnauthorized:
		v.Heading = "This address is not complete"
		v.Detail = "It opens with all that stands behind the question mark of the address that you were given."
		v.SignIn = v.Root + "/login?" + url.Values{"next": {p.cfg.Auth.BackTo(c.Request())}}.Encode()
	case http.StatusForbidden:
		v.Heading = "This address does not open"
	case http.StatusNotFound:
		v.Heading = "There is nothing at this address"
		if p.cfg.Level(c.Path()) != auth.Holder || !jobs.ValidID(c.Param("id")) {
			v.Detail = "Perhaps it was not copied as a whole. The address of a result ends in 36 digits, small letters and hyphens."
		}
	case http.StatusGone:
		v.Heading = "This result was deleted"
	case http.StatusTooManyRequests:
		v.Heading = "Too many requests came from your network"
	case http.StatusInternalServerError:
		v.Heading = "Something went wrong here"
		v.Detail = "It is not your fault, and what you ordered is not lost by it."
	case http.StatusServiceUnavailable:
		if answer.Title == http.StatusText(answer.Status) {
			v.Heading = "This cannot be shown just now"
		}
	}
	if answer.Status >= http.StatusInternalServerError || answer.Status == http.StatusTooManyRequests {
		after, _ := strconv.Atoi(c.Response().Header().Get("Retry-After"))
		v.Refresh = min(max(after, 10), 60)
	}
	return v
}

// await makes v the page about a job that is not known yet.
func (v *notice) await(id string, now time.Time) {
	v.Awaited, v.ID, v.Instance = true, id, ""
	v.Waiting, v.Refresh, v.Heading = "Looking for it", 5, "Your order is on its way"
	v.Detail = "It has not reached this server yet. This page looks again by itself, and shows how your order stands as soon as it is here."
	switch age := ageOf(id, now); {
	case age > longOverdue:
		v.Late, v.Refresh = true, 300
	case age > overdueAfter:
		v.Late, v.Refresh = true, 30
	}
	if v.Late {
		v.Waiting, v.Heading = "Still looking", "Your order has not arrived yet"
	}
}

// ageOf returns how long ago an id was made, and 0 where it does not say.
func ageOf(id string, now time.Time) time.Duration {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return 0
	}
	return max(0, now.Sub(time.Unix(u.Time().UnixTime())))
}
