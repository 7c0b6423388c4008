package publisher

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/publisher/internal/fast"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// The answers that are made ready for a result, each once for Accept fields that
// leave no choice and once for the others.
const (
	plainOK = iota
	gzipOK
	plainSame // 304
	gzipSame
	variants
)

// serveFast serves with results in memory answered for below net/http, where
// whoever has their URL may read them.
func (p *Publisher) serveFast(server *http.Server, ln net.Listener, admitter *admitter) error {
	if !p.auth.OpenResults() || p.log.Enabled(context.Background(), slog.LevelDebug) {
		return server.Serve(oneWriteListener{Listener: ln, admitter: admitter})
	}
	f := &fast.Server{
		Answer: p.fastAnswer, Served: &p.served,
		HeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, WriteTimeout: httpio.WriteTimeout,
	}
	server.RegisterOnShutdown(f.Shutdown)
	defer f.Wait()
	return server.Serve(oneWriteListener{Listener: ln, admitter: admitter, fast: f})
}

// ServedFast counts the requests for results that were answered before they
// came to the router, of which Config.Observe is not told.
func (p *Publisher) ServedFast() int64 { return p.served.Load() }

// fastAnswer is what serveCached would answer.
func (p *Publisher) fastAnswer(r *fast.Request) fast.Answer {
	s := p.cache.find(r.ID)
	if s == nil || s.blob == nil {
		return fast.Answer{}
	}
	open := httpio.Preferred(string(r.Accept)) != httpio.PreferJSON
	if open && httpio.IsForPage(string(r.Accept), string(r.UserAgent)) {
		return fast.Answer{}
	}
	v := variantOf(s.blob, r)
	if v < 0 {
		return fast.Answer{}
	}
	if open {
		v += variants
	}
	if a := s.ready[v].Load(); a != nil {
		return *a
	}
	return p.prepare(s, v)
}

// variantOf is which answer a request gets; -1 where its tag is no known one.
func variantOf(b *httpio.CachedResponse, r *fast.Request) int {
	switch {
	case r.IfNoneMatch != nil && string(r.IfNoneMatch) == b.ETag():
		return plainSame
	case len(r.IfNoneMatch) > 0 && string(r.IfNoneMatch) == b.GzipETag():
		return gzipSame
	case r.IfNoneMatch != nil:
		return -1
	case b.GzipETag() != "" && len(r.AcceptEncoding) > 0 && httpio.AcceptsGzip(string(r.AcceptEncoding)):
		return gzipOK
	}
	return plainOK
}

// prepare has the usual way answer, and keeps that.
func (p *Publisher) prepare(s *stored, v int) fast.Answer {
	r, err := http.NewRequest(http.MethodGet, "/"+s.id, nil)
	if err != nil {
		return fast.Answer{}
	}
	if v >= variants {
		r.Header.Set("Accept", "*/*")
	}
	switch v % variants {
	case gzipOK:
		r.Header.Set("Accept-Encoding", "gzip")
	case plainSame:
		r.Header.Set("If-None-Match", s.blob.ETag())
	case gzipSame:
		r.Header.Set("If-None-Match", s.blob.GzipETag())
	}
	w := answerWriter{h: http.Header{}, status: http.StatusOK}
	httpio.SetSecurityHeaders(w.h, r)
	if !p.serveCached(&w, r) {
		return fast.Answer{} // it has just been dropped
	}
	a := fast.Answer{Head: w.head(), Body: w.body}
	s.ready[v].Store(&a)
	return a
}

// answerWriter keeps an answer.
type answerWriter struct {
	h      http.Header
	status int
	body   []byte // as it was written, in one call
}

func (w *answerWriter) Header() http.Header    { return w.h }
func (w *answerWriter) WriteHeader(status int) { w.status = status }

func (w *answerWriter) Write(b []byte) (int, error) {
	w.body = b
	return len(b), nil
}

// head is what net/http would send, but for the Date.
func (w *answerWriter) head() []byte {
	b := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n", w.status, http.StatusText(w.status))
	names := make([]string, 0, len(w.h))
	for name := range w.h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range w.h[name] {
			b = append(b, name+": "+strings.TrimSpace(value)+"\r\n"...)
		}
	}
	return b
}
