package apihttp

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

// GetOverview tells how the whole pool stands. A thousand who ask at one time
// cost one reading and one body.
func (a *API) GetOverview(c echo.Context) error {
	window, err := rangeParameter(c)
	if err != nil {
		return err
	}
	body, err := a.cfg.Overviews.Body(c.Request().Context(), window)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Blob(http.StatusOK, httpio.TypeJSON, body)
}
