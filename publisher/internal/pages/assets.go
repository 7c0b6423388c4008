package pages

import (
	"bytes"
	"embed"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
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
	typeScript       = "text/javascript; charset=utf-8"
	typeDeclarations = "application/typescript; charset=utf-8"
	typeStyle        = "text/css; charset=utf-8"
	typeSchema       = "application/schema+json"
)

// published is the embedded file for each path.
var published = map[string]asset{
	"/runnerbean.d.ts":    {"runnerbean.d.ts", typeDeclarations},
	"/assets/words.js":    {"words.js", typeScript},
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

// scriptParts are the files of /runnerbean.js, each after those that it imports. They
// are served as one, so that a browser never has parts of two versions.
var scriptParts = []string{
	"words.js", "request.js", "places.js", "events.js", "stream.js", "follow.js", "shared_follow.js", "element_style.js", "element.js",
}

// scriptHead replaces the comments of scriptParts, which are a third of their size.
const scriptHead = "// Follows a Runnerbean result URL. /runnerbean.d.ts describes what this module offers.\n"

// wholeScript returns the scriptParts as one module without their comments, which exports
// only what the list at the end of the last part names.
func wholeScript() ([]byte, error) {
	whole, comment := []byte(scriptHead), false
	for _, part := range scriptParts {
		text, err := files.ReadFile("assets/" + part)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(text) {
			words := bytes.TrimSpace(line)
			comment = comment || bytes.HasPrefix(words, []byte("/**"))
			if comment || bytes.HasPrefix(words, []byte("//")) || bytes.HasPrefix(line, []byte("import ")) {
				comment = comment && !bytes.HasSuffix(words, []byte("*/"))
				continue
			}
			if !bytes.HasPrefix(line, []byte("export {")) {
				line = bytes.TrimPrefix(line, []byte("export "))
			}
			whole = append(whole, line...)
		}
	}
	return whole, nil
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
	add("/schema/job.json", jobdoc.Schema(), typeSchema)
	add("/schema/batch.json", jobdoc.BatchSchema(), typeSchema)
	add("/schema/result.json", jobdoc.ResultSchema(), typeSchema)
	script, err := wholeScript()
	if err != nil {
		return nil, err
	}
	add("/runnerbean.js", script, typeScript)
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
