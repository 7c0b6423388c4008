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
		return headOfEvents(c)
	}
	place, err := p.hub.acquire(httpio.ClientNetwork(c.Request()), func() {}) // one that is evicted early ends when it begins
	if err != nil {
		return err
	}
	lifetime := feedLifetime + rand.N(feedLifetime/6)
	p.hub.streams.Serve(c.Response().Writer, c.Request(), lifetime, func(s *live.Stream) {
		w.stream = s
		if !p.hub.places.SetEvict(place, s.Close, nil) {
			s.Close()
		}
		s.Send(opening)
		p.feed.join(w)
	}, func() {
		p.feed.leave(w)
		p.hub.release(place)
	})
	return nil
}

// newFollower reads what a request wants to follow. A parameter that it does
// not know is an error.
func newFollower(c echo.Context) (*follower, error) {
	w := &follower{types: []string{newsJob, newsEvent, newsNode}}
	q := c.QueryParams()
	if err := httpio.ReadQuery(q, w.set); err != nil {
		return nil, err
	}
	lines := c.Request().Header["Last-Event-Id"]
	if w.resume = len(lines) == 1 && lines[0] != ""; w.resume {
		w.after = lines[0]
	}
	return w, nil
}

// set sets one field and returns what is wrong with the value, if anything.
func (w *follower) set(name, value string) string {
	switch name {
	case "types":
		w.types = nil
		for t := range strings.SplitSeq(value, ",") {
			if !slices.Contains(newsTypes, t) {
				return "is a list of change, job, event, node"
			}
			if !slices.Contains(w.types, t) {
				w.types = append(w.types, t)
			}
		}
	case "job":
		if w.job = value; !jobs.ValidID(value) {
			return "is a job's id, a lower-case UUID"
		}
	case "program":
		if w.program = value; !httpio.ProgramName.MatchString(value) {
			return "is a program's name: letters a to z, digits, dot, underscore, hyphen"
		}
	default:
		return "is not known here; there are types, job and program"
	}
	return ""
}
