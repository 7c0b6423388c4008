package publisher

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// bodyTimeout bounds how long a request may take to send its body.
const bodyTimeout = 30 * time.Second

// Handler serves every route. Live events need Run.
func (p *Publisher) Handler() http.Handler { return http.HandlerFunc(p.serveHTTP) }

func (p *Publisher) serveHTTP(w http.ResponseWriter, r *http.Request) {
	defer serving(r)()
	if p.log.Enabled(r.Context(), slog.LevelDebug) {
		p.serveLogged(w, r)
		return
	}
	p.serve(w, r)
}

func (p *Publisher) serve(w http.ResponseWriter, r *http.Request) {
	httpio.SetSecurityHeaders(w.Header(), r)
	if p.serveCached(w, r) {
		p.fromMemory.Add(1)
		return
	}
	if p.auth.Preflight(w, r, p.levelOf) {
		return
	}
	if r.ContentLength != 0 {
		// A writer of one byte a minute must not hold on to the connection.
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

// recovered turns a panic into an error, so that it is answered and logged as one.
func recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler || c.Response().Committed { //nolint:errorlint // as net/http compares it
				panic(http.ErrAbortHandler) // the client must not take a part for the whole
			}
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}()
		return next(c)
	}
}

// serveLogged is serve with a line in the log.
func (p *Publisher) serveLogged(w http.ResponseWriter, r *http.Request) {
	start, seen := time.Now(), &seenWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		p.log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelDebug, "request", slog.String("method", r.Method),
			slog.String("path", httpio.Shorten(r.URL.Path)), slog.Int("status", seen.status), slog.Int64("bytes", seen.bytes),
			slog.String("from", r.RemoteAddr), slog.Duration("took", time.Since(start)))
	}()
	p.serve(seen, r)
}

// seenWriter remembers what was answered.
type seenWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (s *seenWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *seenWriter) Write(b []byte) (int, error) {
	n, err := s.ResponseWriter.Write(b)
	s.bytes += int64(n)
	return n, err
}

func (s *seenWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// getHealth says that the process lives.
func getHealth(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.String(http.StatusOK, "ok\n")
}

// getReady says whether the node should get traffic, and why not.
func (p *Publisher) getReady(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 5*time.Second)
	defer cancel()
	if err := p.cfg.Ready(ctx); err != nil {
		return &jobs.Problem{Status: http.StatusServiceUnavailable, Title: "Not ready", Detail: err.Error()}
	}
	return getHealth(c)
}
