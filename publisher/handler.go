package publisher

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/fastpath"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// bodyTimeout bounds the reading of a request's body.
const bodyTimeout = 30 * time.Second

// Handler returns a handler of all routes. Live events need Run.
func (p *Publisher) Handler() http.Handler { return http.HandlerFunc(p.serveHTTP) }

func (p *Publisher) serveHTTP(w http.ResponseWriter, r *http.Request) {
	defer serving(r)()
	if p.log.Enabled(r.Context(), slog.LevelDebug) {
		serveLogged(p.serve, p.log, w, r)
		return
	}
	p.serve(w, r)
}

func (p *Publisher) serve(w http.ResponseWriter, r *http.Request) {
	httpio.SetSecurityHeaders(w.Header(), r)
	if !p.cfg.NoFastResults && p.serveCached(w, r) {
		p.fromMemory.Add(1)
		return
	}
	if p.auth.Preflight(w, r, p.levelOf) {
		return
	}
	if r.ContentLength != 0 {
		// A client that sends one byte a minute must not keep the connection.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	p.echo.ServeHTTP(w, r)
}

// serveCached answers for results in memory. It stands before the router,
// since most requests are such.
func (p *Publisher) serveCached(w http.ResponseWriter, r *http.Request) bool {
	if !p.auth.OpenResults() || r.URL.RawQuery != "" || r.URL.RawPath != "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	s := p.cache.get(resultID(r.URL.Path))
	if s == nil || s.blob == nil || httpio.WantsPage(r) {
		return false
	}
	auth.AllowAnyOrigin(w.Header(), r)
	w.Header()["Vary"] = p.auth.ResultVary(r)
	s.blob.Serve(w, r)
	return true
}

// fastAnswer returns the answer of serveCached to a request that the fast path has read.
func (p *Publisher) fastAnswer(r *fastpath.Request) fastpath.Answer {
	s := p.cache.find(r.ID)
	if s == nil || s.blob == nil {
		return fastpath.Answer{}
	}
	return s.prepared.Answer(r, s.blob, p.serveCached)
}

// resultID is the rest of a path that may be a result's; the cache knows ids
// only. A path that was sent in another spelling is for the router.
func resultID(path string) string {
	const folder = "/results/"
	switch len(path) {
	case 1 + 36:
		return path[1:]
	case len(folder) + 36:
		if path[:len(folder)] == folder {
			return path[len(folder):]
		}
	}
	return ""
}
