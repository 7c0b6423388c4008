package publisher

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// staticCache lets a browser keep an asset for a while; then it asks with the tag.
const staticCache = "public, max-age=300"

// loadStatic reads what is embedded, by path. It was modified when the process
// started, as far as a client can tell.
func (p *Publisher) loadStatic(now time.Time) error {
	p.static = map[string]*httpio.CachedResponse{}
	add := func(path string, body []byte, contentType string) {
		p.static[path] = httpio.NewCachedResponse(body, now, contentType, staticCache, "Accept-Encoding")
	}
	add("/schema/job.json", jobs.Schema(), "application/schema+json")
	add("/schema/result.json", jobs.ResultSchema(), "application/schema+json")
	for path, asset := range publicAssets {
		body, err := assets.ReadFile(asset.File)
		if err != nil {
			return err
		}
		add(path, body, asset.Type)
	}
	return nil
}

func (p *Publisher) getStatic(c echo.Context) error {
	path := c.Request().URL.Path
	b := p.static[path]
	if b == nil {
		return httpio.Problem(http.StatusNotFound, "there is nothing at this path")
	}
	if strings.HasSuffix(path, ".svg") {
		c.Response().Header().Set("Content-Security-Policy", httpio.SandboxPolicy)
	}
	b.Serve(c.Response().Writer, c.Request())
	return nil
}
