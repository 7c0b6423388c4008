package publisher

import (
	"io"
	"net/http"

	"github.com/labstack/echo/v4"
)

// route is one path of a node.
type route struct {
	method, path string
	handler      echo.HandlerFunc
	writes       bool // and therefore is guarded
}

// table is every path of a node. GET means HEAD as well.
func (p *Publisher) table() []route {
	return append(p.verbRoutes(), []route{
		{http.MethodGet, "/", p.getIndex, false},
		{http.MethodGet, "/:id", p.getResult, false},
		{http.MethodGet, "/:id/events", p.getEvents, false},
		{http.MethodGet, "/:id/log", p.getLog, false},
		{http.MethodGet, "/:id/files/*", p.getFile, false},
		{http.MethodGet, "/results/:id", p.getResult, false},
		{http.MethodGet, "/results/:id/events", p.getEvents, false},
		{http.MethodGet, "/results/:id/log", p.getLog, false},
		{http.MethodGet, "/results/:id/files/*", p.getFile, false},

		{http.MethodGet, "/schema/*", p.getStatic, false},
		{http.MethodGet, "/assets/*", p.getStatic, false},
		{http.MethodGet, "/runnerbean.js", p.getStatic, false},
		{http.MethodGet, "/healthz", getHealth, false},
		{http.MethodGet, "/readyz", p.getReady, false},

		{http.MethodPost, "/api/v1/jobs", p.postJob, true},
		{http.MethodGet, "/api/v1/jobs", p.getJobs, false},
		{http.MethodGet, "/api/v1/jobs/:id", p.getJob, false},
		{http.MethodGet, "/api/v1/nodes", p.getNodes, false},
		{http.MethodGet, "/api/v1/programs", p.getPrograms, false},
		{http.MethodGet, "/api/v1/drain", p.getDrain, false},
		{http.MethodPost, "/api/v1/drain", p.postDrain, true},
		{http.MethodDelete, "/api/v1/drain", p.deleteDrain, true},
	}...)
}

// verbRoutes are those of the verbs, for one job and for many.
func (p *Publisher) verbRoutes() []route {
	var list []route
	for _, v := range verbs {
		list = append(list,
			route{http.MethodPost, "/api/v1/jobs/:id/" + string(v.name), p.postVerb(v), true},
			route{http.MethodPost, "/api/v1/jobs/" + string(v.name), p.postSelection(v), true})
	}
	return list
}

// routes puts the table into the router.
func (p *Publisher) routes(e *echo.Echo) {
	for _, r := range p.table() {
		handler := r.handler
		if r.writes {
			handler = p.guard(handler)
		}
		e.Add(r.method, r.path, handler)
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, r.path, handler)
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
