package publisher

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/publisher/internal/apihttp"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// route is a path of a node, for one method.
type route struct {
	method, path string
	handler      echo.HandlerFunc
	needs        auth.Level
}

// table returns all routes of a node. Those for GET are for HEAD too.
func (p *Publisher) table() []route {
	login := p.pages.Login()
	return slices.Concat(p.resultRoutes(), p.verbRoutes(), p.nodeRoutes(), p.metricsRoute(), []route{
		{http.MethodGet, "/", p.pages.Overview, auth.Viewer},
		{http.MethodGet, "/jobs", p.pages.JobList, auth.Viewer},
		{http.MethodPost, "/jobs/act", p.pages.ActOnJobs, auth.Operator},
		{http.MethodGet, "/events", p.pages.EventList, auth.Viewer},
		{http.MethodGet, "/jobs/:id", p.pages.Job, auth.Viewer},
		{http.MethodPost, "/jobs/:id/act", p.pages.ActOnJob, auth.Operator},
		{http.MethodGet, "/nodes", p.pages.NodeList, auth.Viewer},
		{http.MethodGet, "/nodes/:name", p.pages.Node, auth.Viewer},
		{http.MethodPost, "/nodes/:name/act", p.pages.ActOnNode, auth.Operator},
		{http.MethodGet, "/programs", p.pages.ProgramList, auth.Viewer},
		{http.MethodGet, "/programs/:name", p.pages.Program, auth.Viewer},
		{http.MethodPost, "/programs/:name/submit", p.pages.Submit, auth.Operator},

		{http.MethodGet, "/schema/*", p.assets.Get, auth.Anyone},
		{http.MethodGet, "/assets/*", p.assets.Get, auth.Anyone},
		{http.MethodGet, "/runnerbean.js", p.assets.Get, auth.Anyone},
		{http.MethodGet, "/runnerbean.d.ts", p.assets.Get, auth.Anyone},
		{http.MethodGet, "/openapi.json", p.assets.Get, auth.Anyone},
		{http.MethodGet, "/healthz", getHealth, auth.Anyone},
		{http.MethodGet, "/readyz", p.getReady, auth.Anyone},

		{http.MethodGet, "/login", login.Form, auth.Anyone},
		{http.MethodPost, "/login", login.SignIn, auth.Anyone},
		{http.MethodPost, "/logout", login.SignOut, auth.Anyone},

		{http.MethodPost, "/api/v1/jobs", p.api.PostJob, auth.OwnActor},
		{http.MethodPost, "/api/v1/batches", p.api.PostBatch, auth.OwnActor},
		{http.MethodGet, "/api/v1/jobs", apihttp.JSON(p.api.GetJobs), auth.Viewer},
		{http.MethodGet, "/api/v1/jobs/:id", p.api.GetJob, auth.OwnReader},
		{http.MethodGet, "/api/v1/jobs/:id/series", apihttp.JSON(p.api.GetSeries), auth.Viewer},
		{http.MethodGet, "/api/v1/jobs/:id/frames", apihttp.JSON(p.api.GetFrames), auth.OwnReader},
		{http.MethodGet, "/api/v1/overview", p.api.GetOverview, auth.Viewer},
		{http.MethodGet, "/api/v1/nodes", apihttp.JSON(p.api.GetNodes), auth.Viewer},
		{http.MethodGet, "/api/v1/nodes/:name", p.api.GetNode, auth.Viewer},
		{http.MethodGet, "/api/v1/programs", apihttp.JSON(p.api.GetPrograms), auth.Viewer},
		{http.MethodGet, "/api/v1/programs/:name", apihttp.JSON(p.api.GetProgram), auth.Viewer},
		{http.MethodGet, "/api/v1/counters", apihttp.JSON(p.api.GetCounters), auth.Viewer},
		{http.MethodGet, "/api/v1/events", p.api.GetEvents, auth.Viewer},
		{http.MethodGet, "/api/v1/drain", apihttp.JSON(p.api.GetDrain), auth.Viewer},
		{http.MethodPost, "/api/v1/drain", p.api.PostDrain, auth.Operator},
		{http.MethodDelete, "/api/v1/drain", apihttp.JSON(p.api.DeleteDrain), auth.Operator},
	})
}

// resultRoutes returns the routes of results, which are at two paths. A batch also has those of
// its frames and of its bundle below its own.
func (p *Publisher) resultRoutes() (list []route) {
	for _, at := range []string{"/:id", "/results/:id"} {
		list = slices.Concat(list, p.resultRoutesAt(at, itself), p.resultRoutesAt(at+"/frames/:number", p.results.OfFrame),
			p.resultRoutesAt(at+"/bundle", p.results.OfBundle), []route{{http.MethodGet, at + "/bundle.tar", p.results.GetBundleTar, auth.Holder}})
	}
	for _, at := range []string{"/:id", "/results/:id"} {
		latest := at + "/latest"
		list = append(list,
			route{http.MethodGet, latest, p.results.OfLatest(p.results.GetResult), auth.Holder},
			route{http.MethodGet, latest + "/", p.results.OfLatest(p.results.GetResult), auth.Holder}, // redirected
			route{http.MethodGet, latest + "/events", p.results.OfLatest(p.results.GetEvents), auth.Holder})
		list = append(list, p.resultRoutesAt(at+"/runs/:number", p.results.OfRun)...)
	}
	return append(list, route{http.MethodGet, "/results/events", p.results.GetSharedEvents, auth.Anyone})
}

// resultRoutesAt returns the routes of a result at a path. of returns the handler for the job
// that the path means.
func (p *Publisher) resultRoutesAt(at string, of func(echo.HandlerFunc) echo.HandlerFunc) []route {
	return []route{
		{http.MethodGet, at, of(p.results.GetResult), auth.Holder},
		{http.MethodGet, at + "/", of(p.results.GetResult), auth.Holder}, // redirected
		{http.MethodGet, at + "/events", of(p.results.GetEvents), auth.Holder},
		{http.MethodGet, at + "/log", of(p.results.GetLog), auth.Holder},
		{http.MethodGet, at + "/files.tar", of(p.results.GetTar), auth.Holder},
		{http.MethodGet, at + "/files/*", of(p.results.GetFile), auth.Holder},
	}
}

// itself is for paths that name the job.
func itself(handler echo.HandlerFunc) echo.HandlerFunc { return handler }

// verbRoutes returns the routes of verbs, for one job and for many.
func (p *Publisher) verbRoutes() []route {
	var list []route
	for _, v := range operations.Verbs {
		needs := auth.Operator
		if v.Name == ledger.VerbCancel {
			needs = auth.OwnActor
		}
		list = append(list,
			route{http.MethodPost, "/api/v1/jobs/:id/" + string(v.Name), p.api.PostVerb(v), needs},
			route{http.MethodPost, "/api/v1/jobs/" + string(v.Name), p.api.PostSelection(v), auth.Operator})
		if v.Name == ledger.VerbDelete {
			list = append(list, route{http.MethodDelete, "/api/v1/jobs/:id", p.api.PostVerb(v), needs})
		}
	}
	return append(list, route{http.MethodPost, "/api/v1/jobs/:id/" + string(ledger.VerbEndLoop), p.api.PostVerb(operations.EndLoop), auth.OwnActor})
}

// nodeRoutes returns the routes that change a node.
func (p *Publisher) nodeRoutes() []route {
	list := []route{
		{http.MethodPatch, "/api/v1/nodes/:name", apihttp.JSON(p.api.PatchNode), auth.Operator},
		{http.MethodDelete, "/api/v1/nodes/:name", apihttp.JSON(p.api.DeleteNode), auth.Operator},
	}
	for _, v := range operations.NodeVerbs {
		list = append(list, route{http.MethodPost, "/api/v1/nodes/:name/" + v.Name, p.api.PostNodeVerb(v), auth.Operator})
	}
	return list
}

// metricsRoute returns the route of /metrics, if there is one.
func (p *Publisher) metricsRoute() []route {
	if p.cfg.Metrics == nil {
		return nil
	}
	return []route{{http.MethodGet, "/metrics", echo.WrapHandler(p.cfg.Metrics), auth.Viewer}}
}
