package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/charttest"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
	"github.com/runnerbean/runnerbean/publisher/internal/pages"
)

const testID = "019a8f3e-7c21-7b5e-9d3a-2f6f0c1d7f31"

// fakeNode answers for one job as a node does. Tests change the job.
type fakeNode struct {
	url      string
	noEvents bool
	deaf     atomic.Bool // event streams bring nothing after their beginning
	broken   atomic.Bool // 503 to everything about the job
	dead     atomic.Bool // no answer to anything about the job
	server   *httptest.Server
	mu       sync.Mutex
	result   jobs.Result // guarded
	known    bool        // guarded
	news     chan struct{}
	log      string // guarded
	events   atomic.Int32
}

func newFakeNode(t *testing.T) *fakeNode {
	n := &fakeNode{news: make(chan struct{}), known: true}
	mux := http.NewServeMux()
	for _, path := range []string{"/assets/", "/runnerbean.js", "/runnerbean.d.ts"} {
		mux.HandleFunc("GET "+path, serveAsset(t))
	}
	mux.HandleFunc("GET /"+testID, n.alive(n.serveResult))
	mux.HandleFunc("GET /"+testID+"/events", n.alive(n.serveEvents))
	mux.HandleFunc("GET /results/events", n.alive(n.serveEvents))
	mux.HandleFunc("GET /expired", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"title":"Forbidden","status":403,"detail":"this URL has expired; ask whoever gave it to you for a new one"}`)
	})
	mux.HandleFunc("GET /"+testID+"/log", func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		text := n.log
		if r.URL.Query().Get("rendered") == "true" {
			text = logtext.Render(text)
		}
		http.ServeContent(w, r, "log.txt", time.Time{}, strings.NewReader(text))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	n.url, n.server = s.URL, s
	return n
}

// serveAsset answers with assets, which pages of any origin may read.
func serveAsset(t testing.TB) http.HandlerFunc {
	t.Helper()
	assets, err := pages.NewAssets(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	router := echo.New()
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if err := assets.Get(router.NewContext(r, w)); err != nil {
			t.Error(err)
		}
	}
}

// set changes the job.
func (n *fakeNode) set(change func(*jobs.Result)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.result)
	n.result.Timestamp = time.Now().UTC()
	close(n.news)
	n.news = make(chan struct{})
}

func (n *fakeNode) now() (jobs.Result, bool, chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.result, n.known, n.news
}

// alive ends the connection where the node is dead.
func (n *fakeNode) alive(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if n.dead.Load() {
			panic(http.ErrAbortHandler)
		}
		serve(w, r)
	}
}

// die ends all connections, and answers no more.
func (n *fakeNode) die() {
	n.dead.Store(true)
	n.server.CloseClientConnections()
}

func (n *fakeNode) serveResult(w http.ResponseWriter, r *http.Request) {
	result, known, _ := n.now()
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	h.Set("Vary", "Accept")
	if n.broken.Load() {
		http.Error(w, "restarting", http.StatusServiceUnavailable)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		doc, _ := json.Marshal(result)
		n.mu.Lock()
		log := n.log
		n.mu.Unlock()
		data := jobview.Data{Result: result, ResultJSON: doc, LogTail: []byte(log), LogURL: "/" + testID + "/log", JSONURL: "/" + testID + "?format=json"}
		_ = pages.New(pages.Config{BaseURL: n.url}).SendResult(echo.New().NewContext(r, w), data)
		return
	}
	h.Set("Cache-Control", "no-store")
	if !known {
		h.Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(jobs.Problem{Title: "Not Found", Status: 404})
		return
	}
	h.Set("Content-Type", "application/json")
	if !result.State.Final() {
		h.Set("Retry-After", "1")
		w.WriteHeader(http.StatusAccepted)
	}
	_ = json.NewEncoder(w).Encode(result)
}

func (n *fakeNode) serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if n.noEvents || n.broken.Load() {
		http.Error(w, "no events here", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		result, _, news := n.now()
		doc, _ := json.Marshal(result)
		fmt.Fprintf(w, "data: %s\n\n", doc)
		n.events.Add(1)
		_ = http.NewResponseController(w).Flush()
		if result.State.Final() {
			return
		}
		if n.deaf.Load() {
			news = nil
		}
		select {
		case <-news:
		case <-r.Context().Done():
			return
		}
	}
}

// TestInChromium runs all tests that need a browser: one chromium for all, and a
// tab for each.
func TestInChromium(t *testing.T) {
	t.Parallel()
	chromium := browsertest.Start(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"events look":        eventsLook,
		"page follows a job": pageFollowsAJob,
		"element follows a job from another origin": elementFollowsAJob,
		"element polls where events fail":           elementPolls,
		"element says that there is no result":      elementSaysNoResult,
		"many elements share the connections":       manyElements,
		"element behind a proxy that buffers":       elementBehindABuffer,
		"element after a sleep":                     elementThawed,
		"element sees a retry":                      elementSeesARetry,
		"element keeps the query of a signed URL":   elementKeepsTheSignature,
		"job that is yet to come":                   awaitInBrowser,
		"job that is yet to come, without scripts":  awaitWithoutScripts,
		"any origin reads results":                  anyOriginReads,
		"element is themed and harmless":            elementIsThemed,
		"login":                                     loginInBrowser,
		"work, from queue to result":                workInBrowser,
		"frames of a batch":                         framesInBrowser,
		"images of frames":                          imagesInBrowser,
		"many frames":                               manyFramesInBrowser,
		"jobs that a program has made":              familyInBrowser,
		"hostile work":                              hostileWork,
		"work that failed":                          failedWork,
		"jobs, found and cancelled":                 jobsInBrowser,
		"hostile page":                              hostilePage,
		"follow survives":                           followSurvives,
		"a retry is seen":                           retryIsSeen,
		"follow as an iterator":                     followAsAnIterator,
		"element in a page that is rendered again":  elementIsRendered,
		"element asks again":                        elementAsksAgain,
		"element for programs":                      elementIsProgrammed,
		"element tells that the connection is lost": elementTellsLoss,
		"element tells what keeps it from a result": elementTellsDeadEnds,
		"element and signed URLs":                   elementRefused,
		"element looks":                             elementLooks,
		"page of docs/browser.md":                   pageOfTheDocs,
		"types of what the script exports":          typesNameTheExports,
		"plots in Go and in JavaScript agree":       bothPlotsAgree,
		"durations in Go and in JavaScript agree":   bothSpansAgree,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, chromium)
		})
	}
}

func ptr[T any](v T) *T { return &v }

func pageFollowsAJob(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Queued, Created: time.Now().Add(-9 * time.Second), Position: ptr(3)}
	})
	b := browsertest.NewTab(t, chromium, "Failed to load resource", "ERR_")
	b.Do(chromedp.Navigate(n.url + "/" + testID))
	b.Until(`document.querySelector('#verdict').textContent === 'Queued, 3 jobs before it.'`)
	b.Shoot("queued")

	n.set(func(r *jobs.Result) {
		r.State, r.Position, r.Attempt, r.Node = jobs.Running, nil, 1, "worker1"
		r.Started = time.Now().Add(-8 * time.Second)
		r.Progress, r.Message = ptr(0.1), "reading 2,688 values"
	})
	b.Until(`document.querySelector('#progress')?.value === 0.1`)
	n.mu.Lock()
	n.log = "\x1b[32mreading\x1b[0m 2,688 values\nfitting 5 parameters\n\x1b[1mstep 17\x1b[0m  mape 0.91 %\n"
	n.mu.Unlock()
	n.set(func(r *jobs.Result) {
		r.Progress, r.Message = ptr(0.42), "fitting, week 3 of 8"
		r.Counters = map[string]float64{"evaluations": 1204}
		r.Partial = charttest.Forecast(t, 96)
	})
	b.Until(`document.querySelector('#progress')?.value === 0.42 && document.title === 'forecast: running 42 %'`)
	b.Until(`document.querySelector('#message').textContent === 'fitting, week 3 of 8' && /left$/.test(document.querySelector('#left').textContent)`)
	b.Until(`document.querySelector('#log').textContent.includes('step 17  mape') && !!document.querySelector('#plots path.line')`)
	b.Shoot("running")

	n.broken.Store(true)
	n.server.CloseClientConnections()
	b.Until(`document.querySelector('#left').textContent.startsWith('No connection since ')`)
	n.broken.Store(false)
	b.Until(`/left$/.test(document.querySelector('#left').textContent)`)

	n.set(func(r *jobs.Result) {
		r.State, r.Progress, r.Message, r.Partial, r.Counters = jobs.Succeeded, nil, "", nil, nil
		r.Finished = r.Started.Add(14200 * time.Millisecond)
		r.Result = charttest.Forecast(t, 336)
		r.Provenance = &jobs.Provenance{ProgramSHA256: strings.Repeat("9c41", 16), Inputs: []jobs.Source{{URL: "https://grid.example/meters/42.json", SHA256: strings.Repeat("ab12", 16), Size: 27_412}}}
		r.Artifacts = []jobs.Artifact{{Name: "residuals.csv", URL: n.url + "/" + testID + "/files/residuals.csv", Size: 81_204, SHA256: strings.Repeat("77aa", 16)}}
	})
	b.Until(`document.querySelector('#verdict').textContent.startsWith('Succeeded on worker1 after 14 s, finished ')`)
	b.Until(`document.querySelectorAll('#plots [role=slider] path.band').length === 1`)
	b.Until(`document.querySelector('#live').textContent.startsWith('Succeeded')`)
	b.Shoot("succeeded")
	b.Do(chromedp.Focus(chromedp.CSS(`#plots [role=slider]`)), chromedp.KeyEvent(kb.End))
	b.Until(`document.querySelector('#plots figcaption').textContent.includes('(')`)
	b.Shoot("reading")
	if got := n.events.Load(); got < 4 {
		t.Errorf("%d events were asked for: the page polls", got)
	}
	b.CheckComplaints()
}
