package pages

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// framed returns the markup of a frame without a page in it.
func framed(t *testing.T, p *Pages, here string) string {
	t.Helper()
	c := echo.New().NewContext(httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder())
	f := p.frame(c, here, "Nodes")
	var out bytes.Buffer
	for _, part := range []string{"top", "foot"} {
		if err := templates.ExecuteTemplate(&out, part, f); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestFrame(t *testing.T) {
	t.Parallel()
	page := framed(t, newPages(t, Config{BaseURL: "https://results.example/rb", Node: "<b>n\u202e", ReadOnly: "set RUNNERBEAN_TOKEN"}), "nodes")
	for _, part := range []string{
		`<a href="/rb/nodes" aria-current="page">Nodes</a>`, `<a href="/rb/">Overview</a>`, `<title>Nodes · Runnerbean</title>`,
		`Read only: set RUNNERBEAN_TOKEN`, "No node is up.", `&lt;b&gt;n\u{202e}`, `href="#main"`, `<main id="main"`,
	} {
		if !strings.Contains(page, part) {
			t.Errorf("no %q in %s", part, page)
		}
	}
	if strings.Count(page, "aria-current") != 1 || strings.Contains(page, "Sign out") {
		t.Errorf("the frame of nobody on one page: %s", page)
	}
}

func TestVerdictLeadsToItsFirstFinding(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"/nodes/worker3": "/rb/nodes/worker3", "": "", "//evil.example": "/rb//evil.example"} {
		v := verdictOf(api.Verdict{Level: api.LevelWarn, Text: "late", Findings: []api.Finding{{Path: path}}}, "/rb")
		if v.Path != want || v.Tone != "warn" {
			t.Errorf("%q leads to %+v, want %q", path, v, want)
		}
	}
}

func TestPagesAreSharedForAMoment(t *testing.T) {
	t.Parallel()
	var s pageCache
	made := 0
	ask := func() *httpio.CachedResponse {
		page, err := s.get("a", func() (*httpio.CachedResponse, error) {
			made++
			return httpio.NewCachedResponse([]byte("x"), noon, typeHTML, keepAndAsk, ""), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	if a := ask(); a != ask() || made != 1 {
		t.Errorf("made %d times, want once", made)
	}
	s.forget()
	if ask(); made != 2 {
		t.Errorf("made %d times after a change, want twice", made)
	}
}

// A person named a must not get the page of one named 1a after ten changes: the key of
// a page begins with the number of changes.
func TestNoTwoPeopleWaitForOnePage(t *testing.T) {
	t.Parallel()
	s := pageCache{age: 1}
	mine, theirs := httpio.NewCachedResponse([]byte("x"), noon, typeHTML, keepAndAsk, ""), httpio.NewCachedResponse([]byte("y"), noon, typeHTML, keepAndAsk, "")
	got := make(chan *httpio.CachedResponse, 1)
	_, err := s.get("1a", func() (*httpio.CachedResponse, error) {
		s.age = 11
		go func() {
			page, _ := s.get("a", func() (*httpio.CachedResponse, error) { return theirs, nil })
			got <- page
		}()
		select {
		case page := <-got:
			if page != theirs {
				t.Error("got the page of somebody else")
			}
		case <-time.After(5 * time.Second):
			t.Error("waits for the page of somebody else")
		}
		return mine, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAPageMadeDuringAChangeIsNotKept(t *testing.T) {
	t.Parallel()
	var s pageCache
	page := httpio.NewCachedResponse([]byte("x"), noon, typeHTML, keepAndAsk, "")
	_, err := s.get("a", func() (*httpio.CachedResponse, error) { s.forget(); return page, nil })
	if held, _ := s.look("a"); err != nil || held != nil || s.used != 0 {
		t.Errorf("held %v of %d bytes, %v", held, s.used, err)
	}
}

func TestSendShared(t *testing.T) {
	t.Parallel()
	p := newPages(t, Config{BaseURL: "http://127.0.0.1:8420"})
	send := func(fields ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		c := echo.New().NewContext(r, w)
		err := p.sendShared(c, "top", func(context.Context) (any, error) { return p.frame(c, "jobs", "Jobs"), nil })
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first := send()
	tag := first.Header().Get("ETag")
	if first.Code != http.StatusOK || tag == "" || first.Header().Get("Cache-Control") != keepAndAsk || first.Header().Get("Content-Security-Policy") != dashboardPolicy {
		t.Errorf("%d %v", first.Code, first.Header())
	}
	if again := send("If-None-Match: " + tag); again.Code != http.StatusNotModified {
		t.Errorf("the same page again: %d", again.Code)
	}
	if dated := send("If-Modified-Since: " + first.Header().Get("Last-Modified")); dated.Code != http.StatusOK {
		t.Errorf("a date alone: %d", dated.Code)
	}
}

// newPages returns pages of a pool without nodes.
func newPages(t *testing.T, cfg Config) *Pages {
	t.Helper()
	var err error
	cfg.Auth, err = auth.New(auth.Config{BaseURL: cfg.BaseURL, ReadOnly: cfg.ReadOnly, Logger: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Verdict = func(context.Context) (api.Verdict, error) { return health.VerdictOf(api.Overview{}), nil }
	return New(cfg)
}
