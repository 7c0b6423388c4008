package publisher

import (
	"embed"
	"html/template"
	"io"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

//go:embed assets
var assets embed.FS

// asset is one embedded file that is served as it is.
type asset struct {
	File string // in assets
	Type string // media type
}

// publicAssets says at which path each asset is served. Pages elsewhere
// import the scripts, so they need Access-Control-Allow-Origin: *.
var publicAssets = map[string]asset{
	"/runnerbean.js":      {"assets/runnerbean.js", "text/javascript; charset=utf-8"},
	"/assets/plot.js":     {"assets/plot.js", "text/javascript; charset=utf-8"},
	"/assets/log.js":      {"assets/log.js", "text/javascript; charset=utf-8"},
	"/assets/jobs.js":     {"assets/jobs.js", "text/javascript; charset=utf-8"},
	"/assets/page.js":     {"assets/page.js", "text/javascript; charset=utf-8"},
	"/assets/arrival.js":  {"assets/arrival.js", "text/javascript; charset=utf-8"},
	"/assets/live.js":     {"assets/live.js", "text/javascript; charset=utf-8"},
	"/assets/style.css":   {"assets/style.css", "text/css; charset=utf-8"},
	"/assets/dash.css":    {"assets/dash.css", "text/css; charset=utf-8"},
	"/openapi.json":       {"assets/openapi.json", httpio.TypeJSON},
	"/assets/favicon.svg": {"assets/favicon.svg", "image/svg+xml"},
}

// pagePolicy is the Content-Security-Policy that the pages work under.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var templates = template.Must(template.New("").ParseFS(assets, "assets/*.html"))

// renderPage writes the page about one job. It reads at any width, in light
// and dark and without scripts; with them it is live.
func renderPage(w io.Writer, d jobview.Data) error {
	return templates.ExecuteTemplate(w, "job.html", jobview.New(d))
}
