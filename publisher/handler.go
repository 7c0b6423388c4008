package publisher

import (
	"log/slog"
	"net/http"
	"time"

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
	if !p.cfg.NoFastResults && p.results.ServeCached(w, r) {
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
