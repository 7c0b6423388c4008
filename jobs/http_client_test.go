package jobs_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// wrapped is http.DefaultTransport as an application wraps it, to trace or to mock.
type wrapped struct {
	http.RoundTripper
	asked, closed int
}

func (w *wrapped) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked++
	body := io.NopCloser(strings.NewReader(state(jobs.Succeeded, "")))
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body}, nil
}

func (w *wrapped) CloseIdleConnections() { w.closed++ }

func TestWrappedDefaultTransport(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	wrapper := &wrapped{RoundTripper: before}
	for name, transport := range map[string]http.RoundTripper{"wrapped": wrapper, "nil": nil, "nil *http.Transport": (*http.Transport)(nil)} {
		http.DefaultTransport = transport
		c, err := jobs.New(jobs.Config{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if transport == wrapper {
			res, err := c.Result(t.Context(), resultURL)
			if err != nil || res.State != jobs.Succeeded || wrapper.asked != 1 {
				t.Errorf("got %v, %v; the wrapper saw %d requests", res.State, err, wrapper.asked)
			}
		}
		if err := c.Close(); err != nil || wrapper.closed != 0 {
			t.Errorf("%s: Close returned %v and closed connections %d times that are not its own", name, err, wrapper.closed)
		}
	}
}

// TestCloseClosesOwnConnections checks that Close closes the idle connections of the
// client's own transport and leaves those of the application.
func TestCloseClosesOwnConnections(t *testing.T) {
	for name, own := range map[string]bool{"own": true, "of the application": false} {
		t.Run(name, func(t *testing.T) {
			var opened int
			closed := make(chan struct{})
			var once sync.Once
			server := httptest.NewUnstartedServer(answer(jobs.Succeeded, ""))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				switch s {
				case http.StateNew:
					opened++
				case http.StateClosed:
					once.Do(func() { close(closed) })
				}
			}
			server.Start()
			defer server.Close()
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			cfg := jobs.Config{}
			if !own {
				cfg.HTTP = &http.Client{Transport: transport}
			}
			for range 2 {
				c, err := jobs.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Result(t.Context(), server.URL+"/"+anID); err != nil {
					t.Error(err)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				if own {
					<-closed
				}
			}
			if !own && opened != 1 {
				t.Errorf("%d connections, want the application's one", opened)
			}
		})
	}
}

// TestRedirectsDoNotSpreadTheSignature checks that the server to which a signed URL is
// redirected does not learn that URL.
func TestRedirectsDoNotSpreadTheSignature(t *testing.T) {
	var referer string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		referer = r.Referer()
		answer(jobs.Succeeded, "")(w, r)
	}))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL+"/moved", http.StatusFound))
	defer server.Close()
	c, err := jobs.New(jobs.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Result(t.Context(), server.URL+"/"+anID+"?expires=1&signature=secret"); err != nil {
		t.Fatal(err)
	}
	if referer != "" {
		t.Errorf("the other server got the Referer %q", referer)
	}
}

func TestRedirectPolicyOfTheApplication(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("/moved", http.StatusFound))
	defer server.Close()
	mine := errors.New("no redirects here")
	for _, want := range []error{mine, http.ErrUseLastResponse} {
		h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return want }}
		c, err := jobs.New(jobs.Config{HTTP: h})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.Result(t.Context(), server.URL+"/"+anID)
		switch {
		case want == mine && !errors.Is(err, mine):
			t.Errorf("error %v, want %v", err, mine)
		case want != mine && !problemOf(http.StatusFound)(err):
			t.Errorf("error %v, want the answer 302", err)
		}
	}
}

func TestNewRefusesAddresses(t *testing.T) {
	for _, test := range []struct{ base, want string }{
		{"http://:99999", "no host"},
		{"http://host:99999", "1 to 65535"},
		{"https://host:0", "1 to 65535"},
		{"http://host:", "1 to 65535"},
		{"http://host:x", "invalid port"},
		{"http://host:-1", "invalid port"},
		{"http://[::1", "missing ']'"},
		{"http://", "not an absolute http or https URL"},
		{"host:8420", "not an absolute http or https URL"},
		{"ftp://host", "not an absolute http or https URL"},
		{"http://user:secret@host", "neither user"},
		{"http://user:secret@host:99999", "1 to 65535"},
		{"http://user:secret@host:x", "invalid port"},
		{"http://host?signature=secret", "query"},
		{"http://host:x?signature=secret", "invalid port"},
	} {
		c, err := jobs.New(jobs.Config{BaseURL: test.base})
		if err == nil {
			c.Close()
			t.Errorf("%s is accepted", test.base)
			continue
		}
		if s := err.Error(); !strings.Contains(s, test.want) || !strings.Contains(s, "BaseURL") || strings.Contains(s, "secret") {
			t.Errorf("%s: %v, want %q in it and no secret", test.base, err, test.want)
		}
	}
	for _, name := range []string{"a b", "a/b", "ä", strings.Repeat("n", 200)} {
		if _, err := jobs.New(jobs.Config{Node: name}); err == nil || !strings.Contains(err.Error(), "name of a node") {
			t.Errorf("node %.20q: %v", name, err)
		}
	}
	for _, addr := range []string{"host:99999", "host:0", "host:", ":11300", "[::1]:65536"} {
		c, err := jobs.New(jobs.Config{Beanstalkd: []string{addr}})
		if err == nil {
			c.Close()
			t.Errorf("%s is accepted", addr)
		} else if s := err.Error(); !strings.Contains(s, addr) || !strings.Contains(s, "1 to 65535") && !strings.Contains(s, "no host") {
			t.Errorf("%s: %v does not say why", addr, err)
		}
	}
}
