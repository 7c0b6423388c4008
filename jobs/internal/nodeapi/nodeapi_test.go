package nodeapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "rb_s3cret-s3cret"

func newClient(t *testing.T, base string, timeout time.Duration) *Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := New(Config{Base: base, Token: secret, HTTP: &http.Client{Transport: transport}, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRedirectIsNotFollowed checks that neither another server nor another path of the
// same one gets the token.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	for _, to := range []string{elsewhere.URL, "/other"} {
		node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api" || r.Header.Get("Authorization") != "Bearer "+secret {
				t.Errorf("asked %s with %q", r.URL, r.Header.Get("Authorization"))
			}
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}))
		a, err := newClient(t, node.URL, time.Minute).Do(t.Context(), Request{Method: http.MethodPost, Path: "/api", Body: []byte("{}")})
		if err != nil || a.Status != http.StatusTemporaryRedirect {
			t.Errorf("%d, %v", a.Status, err)
		}
		node.Close()
	}
	if asked.Load() > 0 {
		t.Error("a redirect was followed")
	}
}

// TestCallersClientStaysAsItIs: the application may use it for other requests.
func TestCallersClientStaysAsItIs(t *testing.T) {
	t.Parallel()
	own := &http.Client{}
	if _, err := New(Config{Base: "http://node.example", HTTP: own, Timeout: time.Second}); err != nil || own.CheckRedirect != nil {
		t.Errorf("changed, %v", err)
	}
}

// TestNotSent checks what is known after a connection that did not come.
func TestNotSent(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx  context.Context
		base string
		want error
	}{
		"refused":     {t.Context(), "http://127.0.0.1:1", syscall.ECONNREFUSED},
		"no such TLS": {t.Context(), strings.Replace(plain.URL, "http:", "https:", 1), nil},
		"no TLS yet":  {t.Context(), "https://" + silent.Addr().String(), ErrSlow},
		"ended":       {ended, plain.URL, context.Canceled},
	} {
		_, err := newClient(t, tt.base, 200*time.Millisecond).Do(tt.ctx, Request{Method: http.MethodGet, Path: "/"})
		if !errors.Is(err, ErrNotSent) || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v", name, err)
		}
		if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestSent checks that a request that has reached the server counts as sent, whatever
// comes then.
func TestSent(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request, end func()){
		"cut off":   func(http.ResponseWriter, *http.Request, func()) { panic(http.ErrAbortHandler) },
		"ended":     func(_ http.ResponseWriter, r *http.Request, end func()) { end(); <-r.Context().Done() },
		"too large": func(w http.ResponseWriter, _ *http.Request, _ func()) { _, _ = w.Write(make([]byte, 2000)) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, cancel) }))
		_, err := newClient(t, node.URL, time.Minute).Do(ctx, Request{Method: http.MethodGet, Path: "/", MaxAnswer: 1000})
		if err == nil || errors.Is(err, ErrNotSent) || errors.Is(err, ErrTooLarge) != (name == "too large") {
			t.Errorf("%s: error %v", name, err)
		}
		cancel()
		node.Close()
	}
}

type transport func(*http.Request) error

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return nil, f(r) }

// TestBodyTaken checks what is known after the error of a transport of the caller's own, which
// tells nothing of connections. One whose time is over takes no body.
func TestBodyTaken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		sent bool
		take func(*http.Request) (io.Reader, error)
	}{
		"not taken":   {take: func(*http.Request) (io.Reader, error) { return strings.NewReader(""), nil }},
		"taken":       {sent: true, take: func(r *http.Request) (io.Reader, error) { return r.Body, nil }},
		"taken again": {sent: true, take: func(r *http.Request) (io.Reader, error) { return r.GetBody() }},
	} {
		c, err := New(Config{Base: "http://127.0.0.1:1", Token: secret, Timeout: time.Minute, HTTP: &http.Client{Transport: transport(func(r *http.Request) error {
			body, err := tt.take(r)
			if err == nil {
				_, err = io.ReadAll(body)
			}
			return errors.Join(err, errors.New("over"))
		})}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(t.Context(), Request{Method: http.MethodPost, Path: "/", Body: []byte("{}")})
		if err == nil || errors.Is(err, ErrNotSent) == tt.sent {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
