package apihttp

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// GetPrograms lists every program that a node has ever announced.
func (a *API) GetPrograms(c echo.Context) error {
	at, err := parsePaging(c.QueryParams())
	if err != nil {
		return err
	}
	list, err := a.cfg.Programs.Read(c.Request().Context())
	if err != nil {
		return err
	}
	list.Programs, list.Next = cut(at, list.Programs, func(l api.Program) string { return l.Name })
	return httpio.SendJSON(c, http.StatusOK, list)
}

// GetProgram tells all about one program.
func (a *API) GetProgram(c echo.Context) error {
	window, err := rangeParameter(c)
	if err != nil {
		return err
	}
	name, err := httpio.NameParam(c)
	if err != nil {
		return err
	}
	d, err := a.cfg.Programs.Get(c.Request().Context(), name, window)
	if err != nil {
		return err
	}
	return httpio.SendJSON(c, http.StatusOK, d)
}
