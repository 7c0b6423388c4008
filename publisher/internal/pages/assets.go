package pages

import (
	"embed"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

//go:embed assets
var files embed.FS

// assetCache lets a browser use an asset for a while before it asks with the tag.
const assetCache = "public, max-age=300"

// asset is one embedded file that is served as it is.
type asset struct {
	file string // below assets
	kind string // media type
}

const (
	typeScript = "text/javascript; charset=utf-8"
	typeStyle  = "text/css; charset=utf-8"
	typeSchema = "application/schema+json"
)

// published is the embedded file for each path.
var published = map[string]asset{
	"/runnerbean.js":      {"runnerbean.js", typeScript},
	"/assets/plot.js":     {"plot.js", typeScript},
	"/assets/log.js":      {"log.js", typeScript},
	"/assets/jobs.js":     {"jobs.js", typeScript},
	"/assets/page.js":     {"page.js", typeScript},
	"/assets/arrival.js":  {"arrival.js", typeScript},
	"/assets/live.js":     {"live.js", typeScript},
	"/assets/style.css":   {"style.css", typeStyle},
	"/assets/dash.css":    {"dash.css", typeStyle},
	"/openapi.json":       {"openapi.json", httpio.TypeJSON},
	"/assets/favicon.svg": {"favicon.svg", "image/svg+xml"},
}

// Assets serves scripts, style sheets, schemas and the description of the API.
type Assets struct {
	byPath map[string]*httpio.CachedResponse
}

// NewAssets reads the assets. now is what clients see as the time of their last
// change: a node changes its assets only with its program.
func NewAssets(now time.Time) (*Assets, error) {
	a := &Assets{byPath: map[string]*httpio.CachedResponse{}}
	add := func(path string, body []byte, contentType string) {
		a.byPath[path] = httpio.NewCachedResponse(body, now, contentType, assetCache, "Accept-Encoding")
	}
	add("/schema/job.json", jobs.Schema(), typeSchema)
	add("/schema/result.json", jobs.ResultSchema(), typeSchema)
	for path, asset := range published {
		body, err := files.ReadFile("assets/" + asset.file)
		if err != nil {
			return nil, err
		}
		add(path, body, asset.kind)
	}
	return a, nil
}

// Get answers with the asset at the path of a request.
func (a *Assets) Get(c echo.Context) error {
	path := c.Request().URL.Path
	b := a.byPath[path]
	if b == nil {
		return httpio.Problem(http.StatusNotFound, "there is nothing at this path")
	}
	if strings.HasSuffix(path, ".svg") {
		c.Response().Header().Set("Content-Security-Policy", httpio.SandboxPolicy)
	}
	b.Serve(c.Response().Writer, c.Request())
	return nil
}
