package pages

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// resultPage is the page for visitors.
type resultPage struct {
	batchPart
	Job *jobview.Job
}

// SendResult answers with the page about the result of a job, or about a job that
// has not ended. Unlike the dashboard it is for visitors.
func (p *Pages) SendResult(c echo.Context, d jobview.Data) error {
	status := http.StatusOK
	if !d.Result.State.Final() {
		status = http.StatusAccepted
	}
	d.Root = p.root
	v := resultPage{Job: jobview.New(d)}
	path, signature := strings.TrimSuffix(c.Request().URL.Path, "/"), auth.SignedQuery(c)
	v.Of, v.What = ofResult(path, signature, d.Result.ID)
	var err error
	if v.Frames, err = p.frames(c.Request().Context(), d.Result, c.QueryParams(), visitorPlace(path, signature)); err != nil {
		return err
	}
	if v.Frames != nil {
		v.Job.Output = jobview.Output{} // the frames say the same
	}
	return send(c, status, resultPolicy, "result.html", v)
}
