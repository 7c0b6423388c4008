package pages

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// fakeDashboard serves one page of the dashboard from invented data, and the assets.
type fakeDashboard struct {
	url string

	mu   sync.Mutex
	page string        // guarded
	down bool          // guarded; 503 to everything but the assets
	news chan struct{} // guarded

	server *httptest.Server
}

func newFakeDashboard(t *testing.T, page string) *fakeDashboard {
	t.Helper()
	n := &fakeDashboard{page: page, news: make(chan struct{})}
	mux := http.NewServeMux()
	assets, err := NewAssets(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	router := echo.New()
	mux.HandleFunc("GET /assets/", func(w http.ResponseWriter, r *http.Request) {
		if err := assets.Get(router.NewContext(r, w)); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /api/v1/events", n.events)
	mux.HandleFunc("GET /", n.serve)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	n.url, n.server = s.URL, s
	return n
}

func (n *fakeDashboard) serve(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Security-Policy", dashboardPolicy)
	httpio.NewCachedResponse([]byte(n.page), time.Now(), typeHTML, keepAndAsk, "").Serve(w, withoutDates(r))
}

// events sends a change after each set.
func (n *fakeDashboard) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		n.mu.Lock()
		news, down := n.news, n.down
		n.mu.Unlock()
		if down {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-news:
			_, _ = w.Write([]byte("event: change\ndata: {}\n\n"))
		case <-r.Context().Done():
			return
		}
	}
}

func (n *fakeDashboard) closeStreams() { n.server.CloseClientConnections() }

func (n *fakeDashboard) set(page string, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.page, n.down = page, down
	close(n.news)
	n.news = make(chan struct{})
}

func overviewLooks(t *testing.T, chromium context.Context) {
	n := newFakeDashboard(t, renderOverview(t, sampleOverview(time.Now()), ""))
	b := browsertest.NewTab(t, chromium)
	b.Do(chromedp.Navigate(n.url))
	b.CheckLook("overview")
	program := sampleOverview(time.Now())
	program.Verdict = health.VerdictOf(api.Overview{Nodes: program.Nodes[:1], At: program.At, Slots: 8, Busy: 6})
	n.set(renderOverview(t, program, "program"), false)
	b.Do(chromedp.Navigate(n.url))
	b.Shoot("overview-by-program")
	n.set(renderOverview(t, api.Overview{At: noon, Window: api.Window{Name: "1h", From: noon, Until: noon, Step: 60}}, ""), false)
	b.Do(chromedp.Navigate(n.url))
	b.CheckLook("overview-empty")
}
