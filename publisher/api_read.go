package publisher

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"
)

// onlyParameters refuses a query with parameters other than those named, or
// with one of them twice.
func onlyParameters(q url.Values, known ...string) error {
	for _, name := range paramNames(q) {
		switch {
		case len(known) == 0:
			return badParameter(name, "is not known here; none is")
		case !slices.Contains(known, name):
			return badParameter(name, "is not known here; "+and(known))
		case len(q[name]) != 1:
			return badParameter(name, "is given more than once")
		}
	}
	return nil
}

// rangeParameter is the query of an answer that looks back.
func rangeParameter(c echo.Context) (string, error) {
	q := c.QueryParams()
	if err := onlyParameters(q, "range"); err != nil {
		return "", err
	}
	back, ok := lookbackOf(q.Get("range"))
	if !ok || q.Has("range") && q.Get("range") == "" {
		return "", badParameter("range", badRange)
	}
	return back.name, nil
}

// getOverview tells how the whole pool stands. A thousand who ask at one time
// cost one reading and one body.
func (p *Publisher) getOverview(c echo.Context) error {
	window, err := rangeParameter(c)
	if err != nil {
		return err
	}
	body, err := p.collected.bodies.get(c.Request().Context(), window, nowAge, func(ctx context.Context) ([]byte, error) {
		o, err := p.overview(ctx, window)
		if err != nil {
			return nil, err
		}
		return marshal(o)
	})
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", noStore)
	return c.Blob(http.StatusOK, typeJSON, body)
}

// getNode tells all about the newest life of one node.
func (p *Publisher) getNode(c echo.Context) error {
	if err := onlyParameters(c.QueryParams()); err != nil {
		return err
	}
	name, err := pathName(c)
	if err != nil {
		return err
	}
	return p.sendNode(c, name)
}

func (p *Publisher) sendNode(c echo.Context, name string) error {
	n, err := p.nodeNow(c.Request().Context(), name)
	if err != nil {
		return err
	}
	return sendTagged(c, controlPart(n), n, n)
}

// pathName is the name in a path. The router has read its escapes, unless the
// path has one that changes its parts, such as that of a slash.
func pathName(c echo.Context) (name string, err error) {
	name = c.Param("name")
	if c.Request().URL.RawPath != "" {
		name, err = url.PathUnescape(name)
	}
	if err != nil || textFault(name) != "" {
		return "", problem(http.StatusNotFound, "there is nothing of this name")
	}
	return name, nil
}

// getProgram tells all about one program.
func (p *Publisher) getProgram(c echo.Context) error {
	window, err := rangeParameter(c)
	if err != nil {
		return err
	}
	name, err := pathName(c)
	if err != nil {
		return err
	}
	d, err := p.program(c.Request().Context(), name, window)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, d)
}

// getSeries tells what a job said of itself over time.
func (p *Publisher) getSeries(c echo.Context) error {
	if err := onlyParameters(c.QueryParams()); err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	s, err := p.series(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, s)
}
