package publisher

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

// feedLifetime is when a stream of the feed ends, give or take some minutes:
// who listens shows again that they may, and comes with the id of the last event.
const feedLifetime = time.Hour

// eventsPath has two forms: a list, and a stream.
const eventsPath = "/api/v1/events"

// streamEvents answers with the feed as Server-Sent Events.
func (p *Publisher) streamEvents(c echo.Context) error {
	w, err := newFollower(c)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Vary", p.auth.Vary("Accept"))
	if c.Request().Method == http.MethodHead {
		live.WriteHead(c.Response())
		return nil
	}
	return p.broker.ServeNews(c.Response().Writer, c.Request(), feedLifetime+rand.N(feedLifetime/6), w)
}

// newFollower reads what a request wants to follow. A parameter that it does
// not know is an error.
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

// setFollower sets one field and returns what is wrong with the value, if anything.
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
