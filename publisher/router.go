package publisher

import (
	"fmt"
	"io"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
)

// recovered turns a panic into an error, so that it is answered and logged.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler || c.Response().Committed { //nolint:errorlint // as net/http compares it
				panic(http.ErrAbortHandler) // so that the client does not take a part for the whole
			}
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}()
		return next(c)
	}
}

// routes adds the routes of the table to the router.
func (p *Publisher) routes(e *echo.Echo) {
	p.levels = map[string]auth.Level{}
	for _, r := range p.table() {
		handler := r.handler
		if r.needs == auth.Operator || r.needs == auth.OwnActor {
			handler = p.changes(handler)
		}
		handler = p.auth.Guard(r.needs, handler)
		if r.needs == auth.Holder {
			handler = canonicalID(handler)
		}
		e.Add(r.method, r.path, handler)
		if r.method == http.MethodGet {
			p.levels[r.path] = r.needs
			e.Add(http.MethodHead, r.path, handler)
		}
	}
}

// levelOf returns the level of the route to the path of a request with a method, or
// 0 without one. method is GET or HEAD.
func (p *Publisher) levelOf(r *http.Request, method string) auth.Level {
	c := p.echo.AcquireContext()
	defer p.echo.ReleaseContext(c)
	p.echo.Router().Find(method, echo.GetPath(r), c)
	return p.levels[c.Path()]
}

// changes drops cached reads after a handler that changes something.
func (p *Publisher) changes(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer p.forget()
		return next(c)
	}
}

// newEcho returns the router. It logs nothing itself, since renderError logs errors.
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

// forget drops what readers and pages have cached.
func (p *Publisher) forget() {
	p.nodes.Forget()
	p.programs.Forget()
	p.overviews.Forget()
	p.pages.Forget()
}
