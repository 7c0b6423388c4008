package jobs_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

const anID = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

// resultURL is the URL of the one job of the fake nodes.
const resultURL = "http://node.example/results/" + anID

// state returns a result document with only a state.
func state(s jobs.State, more string) string {
	return fmt.Sprintf(`{"id":%q,"program":"forecast","state":%q,"timestamp":"2026-11-22T06:16:00Z"%s}`, anID, s, more)
}

// inMemory connects clients to servers by net.Pipe, which keeps to the virtual
// time of a synctest bubble.
type inMemory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newInMemory() *inMemory {
	return &inMemory{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (m *inMemory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case m.conns <- theirs:
		return ours, nil
	case <-m.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *inMemory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *inMemory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *inMemory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// clientOf returns a client that sends every request to h, inside a bubble.
func clientOf(t *testing.T, h http.HandlerFunc) *jobs.Client {
	t.Helper()
	return clientWith(t, jobs.Config{}, h)
}

func clientWith(t *testing.T, cfg jobs.Config, h http.HandlerFunc) *jobs.Client {
	t.Helper()
	m := newInMemory()
	server := &httptest.Server{Listener: m, Config: &http.Server{Handler: h}}
	server.Start()
	transport := &http.Transport{DialContext: m.dial}
	cfg.HTTP = &http.Client{Transport: transport}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	c, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// script answers request after request with the next handler, and goes on with
// the last.
func script(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	next := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[next]
		next = min(next+1, len(handlers)-1)
		mu.Unlock()
		h(w, r)
	}
}

// answer sends a result document, with status 200 if it is final and 202 otherwise.
func answer(s jobs.State, more string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !s.Final() {
			w.WriteHeader(http.StatusAccepted)
		}
		_, _ = fmt.Fprint(w, state(s, more))
	}
}

// refuse sends a problem.
func refuse(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"title":"No","status":%d,"detail":"for a test"}`, status)
	}
}

// text sends an answer that does not come from a node.
func text(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

// zipped sends a final result that is small only in its compressed form.
func zipped(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(body))
		_ = z.Close()
	}
}

// logBuffer collects log lines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
