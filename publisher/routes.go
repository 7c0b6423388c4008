package publisher

import (
	"io"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

// level is who may use a route. A route that has none may be used by nobody.
type level int

const (
	_ level = iota
	anyone
	holder   // of the result's URL, or of a signed one where the operator wants that
	submit   // what the role submit may do; no route needs it alone
	viewer   // of the pages and the API
	operator // who changes something
	// ownReader is viewer, and ownActor operator, or the role submit for jobs of
	// the same token.
	ownReader
	ownActor
)

// route is one path of a node.
type route struct {
	method, path string
	handler      echo.HandlerFunc
	needs        level
}

// table is every path of a node. GET means HEAD as well.
func (p *Publisher) table() []route {
	return slices.Concat(p.verbRoutes(), p.nodeRoutes(), p.metricsRoute(), []route{
		{http.MethodGet, "/", p.getOverviewPage, viewer},
		{http.MethodGet, "/jobs", p.getJobsPage, viewer},
		{http.MethodPost, "/jobs/act", p.postJobsAct, operator},
		{http.MethodGet, "/events", p.getEventsPage, viewer},
		{http.MethodGet, "/jobs/:id", p.getWorkPage, viewer},
		{http.MethodPost, "/jobs/:id/act", p.postWorkAct, operator},
		{http.MethodGet, "/:id", p.getResult, holder},
		{http.MethodGet, "/:id/events", p.getEvents, holder},
		{http.MethodGet, "/:id/log", p.getLog, holder},
		{http.MethodGet, "/:id/files/*", p.getFile, holder},
		{http.MethodGet, "/results/:id", p.getResult, holder},
		{http.MethodGet, "/results/:id/events", p.getEvents, holder},
		{http.MethodGet, "/results/:id/log", p.getLog, holder},
		{http.MethodGet, "/results/:id/files/*", p.getFile, holder},

		{http.MethodGet, "/nodes", p.getNodesPage, viewer},
		{http.MethodGet, "/nodes/:name", p.getNodePage, viewer},
		{http.MethodPost, "/nodes/:name/act", p.postNodeAct, operator},
		{http.MethodGet, "/programs", p.getProgramsPage, viewer},
		{http.MethodGet, "/programs/:name", p.getProgramPage, viewer},
		{http.MethodPost, "/programs/:name/submit", p.postProgram, operator},

		{http.MethodGet, "/schema/*", p.getStatic, anyone},
		{http.MethodGet, "/assets/*", p.getStatic, anyone},
		{http.MethodGet, "/runnerbean.js", p.getStatic, anyone},
		{http.MethodGet, "/openapi.json", p.getStatic, anyone},
		{http.MethodGet, "/healthz", getHealth, anyone},
		{http.MethodGet, "/readyz", p.getReady, anyone},

		{http.MethodGet, "/login", p.getLogin, anyone},
		{http.MethodPost, "/login", p.postLogin, anyone},
		{http.MethodPost, "/logout", p.postLogout, anyone},

		{http.MethodPost, "/api/v1/jobs", p.postJob, ownActor},
		{http.MethodGet, "/api/v1/jobs", p.getJobs, viewer},
		{http.MethodGet, "/api/v1/jobs/:id", p.getJob, ownReader},
		{http.MethodGet, "/api/v1/jobs/:id/series", p.getSeries, viewer},
		{http.MethodGet, "/api/v1/overview", p.getOverview, viewer},
		{http.MethodGet, "/api/v1/nodes", p.getNodes, viewer},
		{http.MethodGet, "/api/v1/nodes/:name", p.getNode, viewer},
		{http.MethodGet, "/api/v1/programs", p.getPrograms, viewer},
		{http.MethodGet, "/api/v1/programs/:name", p.getProgram, viewer},
		{http.MethodGet, eventsPath, p.getEventLog, viewer},
		{http.MethodGet, "/api/v1/drain", p.getDrain, viewer},
		{http.MethodPost, "/api/v1/drain", p.postDrain, operator},
		{http.MethodDelete, "/api/v1/drain", p.deleteDrain, operator},
	})
}

// verbRoutes are those of the verbs, for one job and for many.
func (p *Publisher) verbRoutes() []route {
	var list []route
	for _, v := range verbs {
		needs := operator
		if v.name == ledger.VerbCancel {
			needs = ownActor
		}
		list = append(list,
			route{http.MethodPost, "/api/v1/jobs/:id/" + string(v.name), p.postVerb(v), needs},
			route{http.MethodPost, "/api/v1/jobs/" + string(v.name), p.postSelection(v), operator})
	}
	return list
}

// routes puts the table into the router.
func (p *Publisher) routes(e *echo.Echo) {
	p.levels = map[string]level{}
	for _, r := range p.table() {
		handler := r.handler
		if r.needs == operator || r.needs == ownActor {
			handler = p.changes(handler)
		}
		handler = p.guard(r.needs, handler)
		e.Add(r.method, r.path, handler)
		if r.method == http.MethodGet {
			p.levels[r.path] = r.needs
			e.Add(http.MethodHead, r.path, handler)
		}
	}
}

// changes makes the next pages show what the handler has changed.
func (p *Publisher) changes(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer p.pages.forget()
		defer p.collected.forget()
		return next(c)
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
	if p.cfg.Observe != nil {
		e.Use(p.observed())
	}
	e.Use(recovered)
	p.routes(e)
	return e
}
