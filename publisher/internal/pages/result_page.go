package pages

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// SendResult answers with the page about the result of a job, or about a job that
// has not ended. Unlike the dashboard it is for visitors.
func (p *Pages) SendResult(c echo.Context, d jobview.Data) error {
	status := http.StatusOK
	if !d.Result.State.Final() {
		status = http.StatusAccepted
	}
	d.Root = p.root
	return send(c, status, resultPolicy, "result.html", jobview.New(d))
}
