package apihttp

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// newsLifetime bounds a stream of news, plus up to a sixth. The client then reconnects with
// the id of its last event, and its access is checked again.
const newsLifetime = time.Hour

// streamNews answers with the news of the pool as Server-Sent Events.
func (a *API) streamNews(c echo.Context) error {
	w, err := newFollower(c)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Vary", a.cfg.Auth.Vary("Accept"))
	if c.Request().Method == http.MethodHead {
		live.WriteHead(c.Response())
		return nil
	}
	return a.cfg.Broker.ServeNews(c.Response().Writer, c.Request(), newsLifetime+rand.N(newsLifetime/6), w)
}

// newFollower returns what a request asks to follow. An unknown parameter is an error.
func newFollower(c echo.Context) (*live.Follower, error) {
	w := &live.Follower{Types: []string{live.TypeJob, live.TypeEvent, live.TypeNode}}
	q := c.QueryParams()
	if err := httpio.ReadQuery(q, func(name, value string) string { return setFollower(w, name, value) }); err != nil {
		return nil, err
	}
	lines := c.Request().Header["Last-Event-Id"]
	if w.Resume = len(lines) == 1 && lines[0] != ""; w.Resume {
		w.After = lines[0]
	}
	return w, nil
}

// setFollower sets one field. It returns what is wrong with the value, or "".
func setFollower(w *live.Follower, name, value string) string {
	switch name {
	case "types":
		w.Types = nil
		for t := range strings.SplitSeq(value, ",") {
			if !slices.Contains(live.Types, t) {
				return "is a list of change, job, event, node"
			}
			if !slices.Contains(w.Types, t) {
				w.Types = append(w.Types, t)
			}
		}
	case "job":
		if w.Job = value; !jobs.ValidID(value) {
			return "is a job's id, a lower-case UUID"
		}
	case "program":
		if w.Program = value; !httpio.ProgramName.MatchString(value) {
			return "is a program's name: letters a to z, digits, dot, underscore, hyphen"
		}
	default:
		return "is not known here; there are types, job and program"
	}
	return ""
}
