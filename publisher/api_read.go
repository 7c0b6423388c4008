package publisher

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// rangeParameter is the query of an answer that looks back.
func rangeParameter(c echo.Context) (string, error) {
	q := c.QueryParams()
	if err := httpio.OnlyParameters(q, "range"); err != nil {
		return "", err
	}
	back, ok := readmodel.LookbackOf(q.Get("range"))
	if !ok || q.Has("range") && q.Get("range") == "" {
		return "", httpio.BadParameter("range", readmodel.BadRange)
	}
	return back.Name, nil
}

// getOverview tells how the whole pool stands. A thousand who ask at one time
// cost one reading and one body.
func (p *Publisher) getOverview(c echo.Context) error {
	window, err := rangeParameter(c)
	if err != nil {
		return err
	}
	body, err := p.overviews.Body(c.Request().Context(), window)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Blob(http.StatusOK, httpio.TypeJSON, body)
}

// getNode tells all about the newest life of one node.
func (p *Publisher) getNode(c echo.Context) error {
	if err := httpio.OnlyParameters(c.QueryParams()); err != nil {
		return err
	}
	name, err := httpio.NameParam(c)
	if err != nil {
		return err
	}
	return p.sendNode(c, name)
}

func (p *Publisher) sendNode(c echo.Context, name string) error {
	n, err := p.nodes.Get(c.Request().Context(), name)
	if err != nil {
		return err
	}
	return httpio.SendTagged(c, controlVersion(n), n, n)
}

// getProgram tells all about one program.
func (p *Publisher) getProgram(c echo.Context) error {
	window, err := rangeParameter(c)
	if err != nil {
		return err
	}
	name, err := httpio.NameParam(c)
	if err != nil {
		return err
	}
	d, err := p.programs.Get(c.Request().Context(), name, window)
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, d)
}

// getSeries tells what a job said of itself over time.
func (p *Publisher) getSeries(c echo.Context) error {
	if err := httpio.OnlyParameters(c.QueryParams()); err != nil {
		return err
	}
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	s, err := p.jobs.Series(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, s)
}
