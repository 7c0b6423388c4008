package publisher

import (
	"io"
	"net/http"

	"github.com/labstack/echo/v4"
)

// routes is every path of a node. GET means HEAD as well.
func (p *Publisher) routes(e *echo.Echo) {
	write := p.guard
	for _, route := range []struct {
		method, path string
		handler      echo.HandlerFunc
		middleware   []echo.MiddlewareFunc
	}{
		{http.MethodGet, "/", p.getIndex, nil},
		{http.MethodGet, "/:id", p.getResult, nil},
		{http.MethodGet, "/:id/events", p.getEvents, nil},
		{http.MethodGet, "/:id/log", p.getLog, nil},
		{http.MethodGet, "/:id/files/*", p.getFile, nil},
		{http.MethodGet, "/results/:id", p.getResult, nil},
		{http.MethodGet, "/results/:id/events", p.getEvents, nil},
		{http.MethodGet, "/results/:id/log", p.getLog, nil},
		{http.MethodGet, "/results/:id/files/*", p.getFile, nil},

		{http.MethodGet, "/schema/*", p.getStatic, nil},
		{http.MethodGet, "/assets/*", p.getStatic, nil},
		{http.MethodGet, "/runnerbean.js", p.getStatic, nil},
		{http.MethodGet, "/healthz", getHealth, nil},
		{http.MethodGet, "/readyz", p.getReady, nil},

		{http.MethodPost, "/api/v1/jobs", p.postJob, []echo.MiddlewareFunc{write}},
		{http.MethodGet, "/api/v1/jobs", p.getJobs, nil},
		{http.MethodGet, "/api/v1/jobs/:id", p.getJob, nil},
		{http.MethodPost, "/api/v1/jobs/:id/cancel", p.postCancel, []echo.MiddlewareFunc{write}},
		{http.MethodGet, "/api/v1/nodes", p.getNodes, nil},
		{http.MethodGet, "/api/v1/programs", p.getPrograms, nil},
	} {
		e.Add(route.method, route.path, route.handler, route.middleware...)
		if route.method == http.MethodGet {
			e.Add(http.MethodHead, route.path, route.handler, route.middleware...)
		}
	}
}

// newEcho is the router. What it would print itself goes nowhere: errors come
// to renderError.
func (p *Publisher) newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(io.Discard)
	e.HTTPErrorHandler = p.renderError
	e.IPExtractor = echo.ExtractIPDirect()
	e.Use(recovered)
	p.routes(e)
	return e
}
