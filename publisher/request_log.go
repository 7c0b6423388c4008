package publisher

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// serveLogged serves a request and logs it.
func serveLogged(serve http.HandlerFunc, log *slog.Logger, w http.ResponseWriter, r *http.Request) {
	start, answer := time.Now(), &loggedWriter{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelDebug, "request", slog.String("method", r.Method),
			slog.String("path", httpio.Shorten(r.URL.Path)), slog.Int("status", answer.status), slog.Int64("bytes", answer.bytes),
			slog.String("from", r.RemoteAddr), slog.Duration("took", time.Since(start)))
	}()
	serve(answer, r)
}

// loggedWriter keeps the status and the length of an answer.
type loggedWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *loggedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *loggedWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

func (w *loggedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
