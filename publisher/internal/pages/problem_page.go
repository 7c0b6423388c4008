package pages

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// problemView is an error on the dashboard.
type problemView struct {
	frame
	Heading, Detail, Instance, Back string
}

// SendProblem answers an error of the dashboard with a page, where a browser has
// asked that may read the pages. It reports whether it did.
func (p *Pages) SendProblem(c echo.Context, answer *jobs.Problem) bool {
	if auth.CallerOf(c).Role == 0 || !isDashboard(c.Path()) || !httpio.WantsPage(c.Request()) {
		return false
	}
	v := problemView{
		frame: p.frame(c, "", text.Line(answer.Title, text.NameLimit)), Heading: text.Line(answer.Title, text.NameLimit),
		Detail: text.Line(text.Capitalize(answer.Detail), 1000), Instance: text.Line(answer.Instance, 100),
	}
	v.Still, v.Back = true, v.Root+"/jobs"
	return send(c, answer.Status, dashboardPolicy, "problem.html", v) == nil
}

// isDashboard reports whether a route belongs to the dashboard.
func isDashboard(path string) bool {
	for _, page := range []string{"/jobs", "/nodes", "/programs", "/events"} {
		if path == page || strings.HasPrefix(path, page+"/") {
			return true
		}
	}
	return path == "/"
}
