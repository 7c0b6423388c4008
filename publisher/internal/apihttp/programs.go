package apihttp

import (
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// GetPrograms returns a page of all programs that a node has ever announced.
func (a *API) GetPrograms(c echo.Context) (any, error) {
	at, err := parsePaging(c.QueryParams())
	if err != nil {
		return nil, err
	}
	list, err := a.cfg.Programs.Read(c.Request().Context())
	if err != nil {
		return nil, err
	}
	list.Programs, list.Next = cut(at, list.Programs, func(l api.Program) string { return l.Name })
	return list, nil
}

// GetProgram returns all about one program.
func (a *API) GetProgram(c echo.Context) (any, error) {
	window, err := rangeParameter(c)
	if err != nil {
		return nil, err
	}
	name, err := httpio.NameParam(c)
	if err != nil {
		return nil, err
	}
	return a.cfg.Programs.Get(c.Request().Context(), name, window)
}
