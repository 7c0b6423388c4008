package publisher

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
)

// pretender serves one page of the dashboard from made-up data, and the assets.
type pretender struct {
	url string

	mu   sync.Mutex
	page string // guarded
	down bool   // guarded; 503 to everything but the assets
	news chan struct{}
}

func newPretender(t *testing.T, b *bench, page string) *pretender {
	t.Helper()
	n := &pretender{page: page, news: make(chan struct{})}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", b.p.Handler())
	mux.HandleFunc("GET /api/v1/events", n.events)
	mux.HandleFunc("GET /", n.serve)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	n.url = s.URL
	return n
}

func (n *pretender) serve(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Security-Policy", dashboardPolicy)
	newBlob([]byte(n.page), time.Now(), typeHTML, livePage, "").serve(w, withoutDates(r))
}

// events says that something has changed at each set.
func (n *pretender) events(w http.ResponseWriter, r *http.Request) {
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

func (n *pretender) set(page string, down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.page, n.down = page, down
	close(n.news)
	n.news = make(chan struct{})
}

// looks takes screenshots of a page and checks that people can use it.
func looks(b *browsertest.Tab, name string) {
	b.Shoot(name)
	b.CheckAccess(name)
	b.Look(1400, "light")
	b.CheckKeyboard(name)
	b.CheckComplaints()
}

func overviewLooks(t *testing.T, chromium context.Context) {
	n := newPretender(t, newBench(t), renderOverview(t, sampleOverview(time.Now()), ""))
	b := browsertest.NewTab(t, chromium)
	b.Do(chromedp.Navigate(n.url))
	looks(b, "overview")
	n.set(renderOverview(t, jobs.Overview{At: noon, Window: jobs.Window{Name: "1h", From: noon, Until: noon, Step: 60}}, ""), false)
	b.Do(chromedp.Navigate(n.url))
	looks(b, "overview-empty")
}
