package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/runnerbean/runnerbean/jobs"
)

const testID = "019a8f3e-7c21-7b5e-9d3a-2f6f0c1d7f31"

// fakeNode answers for one job as a node would; tests move the job on.
type fakeNode struct {
	url      string
	noEvents bool
	deaf     atomic.Bool // event streams bring nothing after their beginning
	broken   atomic.Bool // 503 to everything about the job
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
	for path, a := range publicAssets {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			data, err := assets.ReadFile(a.File)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", a.Type)
			w.Header().Set("Access-Control-Allow-Origin", "*")
			_, _ = w.Write(data)
		})
	}
	mux.HandleFunc("GET /"+testID, n.serveResult)
	mux.HandleFunc("GET /"+testID+"/events", n.serveEvents)
	mux.HandleFunc("GET /"+testID+"/log", func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		http.ServeContent(w, r, "log.txt", time.Time{}, strings.NewReader(n.log))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	n.url, n.server = s.URL, s
	return n
}

// set moves the job on.
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
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", pagePolicy)
		doc, _ := json.Marshal(result)
		n.mu.Lock()
		log := n.log
		n.mu.Unlock()
		_ = renderPage(w, pageData{Result: result, ResultJSON: doc, LogTail: []byte(log), LogURL: "/" + testID + "/log", JSONURL: "/" + testID + "?format=json", BaseURL: n.url})
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

// TestInChromium is every test that needs a browser: one chromium for all, a
// tab for each.
func TestInChromium(t *testing.T) {
	t.Parallel()
	chromium := startChromium(t)
	for name, test := range map[string]func(*testing.T, context.Context){
		"page follows a job":                        pageFollowsAJob,
		"element follows a job from another origin": elementFollowsAJob,
		"element polls where events fail":           elementPolls,
		"element says that there is no result":      elementSaysNoResult,
		"many elements share the connections":       manyElements,
		"hostile page":                              hostilePage,
		"list of jobs":                              listOfJobs,
		"follow survives":                           followSurvives,
		"follow as an iterator":                     followAsAnIterator,
		"plots in Go and in JavaScript agree":       bothPlotsAgree,
		"durations in Go and in JavaScript agree":   bothSpansAgree,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, chromium)
		})
	}
}

// startChromium starts Debian's chromium; where it is missing the test fails.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-renderer-backgrounding", true), chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.UserDataDir(t.TempDir()),
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("chromium does not start (apt install chromium): %v", err)
	}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	return ctx
}

// browser is one tab that notes what its pages complain of.
type browser struct {
	t      *testing.T
	ctx    context.Context
	ignore []string
	mu     sync.Mutex
	faults []string // guarded
}

// newTab opens a tab; complaints that contain a text of ignore are expected.
func newTab(t *testing.T, chromium context.Context, ignore ...string) *browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	b := &browser{t: t, ctx: ctx, ignore: ignore}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.note(m.String() + " " + m.URL)
		}
	}()
	return b
}

func (b *browser) note(s string) {
	for _, known := range b.ignore {
		if strings.Contains(s, known) {
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, s)
}

func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.faults...)
}

func (b *browser) checkComplaints() {
	b.t.Helper()
	for _, f := range b.complaints() {
		b.t.Errorf("the page complains: %s", f)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v (complaints: %q)", err, b.complaints())
	}
}

func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v (complaints: %q)", expression, err, b.complaints())
	}
	return v
}

// until waits for a JavaScript expression to become true.
func (b *browser) until(expression string) {
	b.t.Helper()
	deadline := time.After(20 * time.Second)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !evaluate[bool](b, "!!("+expression+")") {
		select {
		case <-look.C:
		case <-deadline:
			b.t.Fatalf("never came true: %s\ncomplaints: %q\npage: %s", expression, b.complaints(), evaluate[string](b, "document.body.innerText"))
		}
	}
}

// shoot takes the page wide and on a phone, light and dark, and checks that
// nothing sticks out sideways.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("RUNNERBEAN_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	for _, width := range []int64{1400, 390} {
		for _, scheme := range []string{"light", "dark"} {
			b.look(width, scheme)
			if evaluate[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
				b.t.Errorf("%s scrolls sideways at %d pixels", name, width)
			}
			png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				b.t.Fatal(err)
			}
			file := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme))
			if err := os.WriteFile(file, png, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

func (b *browser) look(width int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 844))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// demand reads n half-hourly values of the example's data from row from.
func demand(t testing.TB, from, n int) (start string, values []float64) {
	t.Helper()
	data, err := os.ReadFile("../examples/website/england-wales-demand-2000.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(string(bytes.TrimSpace(data)), "\n")[1:]
	for _, row := range rows[from : from+n] {
		at, value, _ := strings.Cut(row, ",")
		if start == "" {
			start = at
		}
		var v float64
		if _, err := fmt.Sscan(value, &v); err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return start, values
}

// forecast is a result as a forecast has it: a week with a widening interval.
func forecast(t testing.TB, n int) json.RawMessage {
	start, values := demand(t, 2688, n)
	lower, upper := make([]float64, n), make([]float64, n)
	for i, v := range values {
		width := v * (0.01 + 0.06*float64(i)/float64(n))
		lower[i], upper[i] = v-width, v+width
	}
	series := map[string]any{"start": start, "interval_s": 1800, "unit": "MW", "values": values, "lower": lower, "upper": upper}
	doc, err := json.Marshal(map[string]any{"series": series, "level": 0.95, "model": map[string]any{
		"kind": "multiplicative", "seasons": []int{48, 336}, "parameters": map[string]any{"alpha": 0.0411, "gamma": 0.1114, "phi": 0.8719}, "values": 2688,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func ptr[T any](v T) *T { return &v }

func pageFollowsAJob(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Queued, Created: time.Now().Add(-9 * time.Second), Position: ptr(3)}
	})
	b := newTab(t, chromium)
	b.do(chromedp.Navigate(n.url + "/" + testID))
	b.until(`document.querySelector('#verdict').textContent === 'Queued, 3 jobs before it.'`)
	b.shoot("queued")

	n.set(func(r *jobs.Result) {
		r.State, r.Position, r.Attempt, r.Node = jobs.Running, nil, 1, "worker1"
		r.Started = time.Now().Add(-8 * time.Second)
		r.Progress, r.Message = ptr(0.1), "reading 2,688 values"
	})
	b.until(`document.querySelector('#progress')?.value === 0.1`)
	n.mu.Lock()
	n.log = "\x1b[32mreading\x1b[0m 2,688 values\nfitting 5 parameters\n\x1b[1mstep 17\x1b[0m  mape 0.91 %\n"
	n.mu.Unlock()
	n.set(func(r *jobs.Result) {
		r.Progress, r.Message = ptr(0.42), "fitting, week 3 of 8"
		r.Counters = map[string]float64{"evaluations": 1204}
		r.Partial = forecast(t, 96)
	})
	b.until(`document.querySelector('#progress')?.value === 0.42 && document.title === 'forecast: running 42 %'`)
	b.until(`document.querySelector('#message').textContent === 'fitting, week 3 of 8' && /left$/.test(document.querySelector('#left').textContent)`)
	b.until(`document.querySelector('#log').textContent.includes('step 17  mape') && !!document.querySelector('#plots path.line')`)
	b.shoot("running")

	n.set(func(r *jobs.Result) {
		r.State, r.Progress, r.Message, r.Partial, r.Counters = jobs.Succeeded, nil, "", nil, nil
		r.Finished = r.Started.Add(14200 * time.Millisecond)
		r.Result = forecast(t, 336)
		r.Provenance = &jobs.Provenance{ProgramSHA256: strings.Repeat("9c41", 16), Inputs: []jobs.Source{{URL: "https://grid.example/meters/42.json", SHA256: strings.Repeat("ab12", 16), Size: 27_412}}}
		r.Artifacts = []jobs.Artifact{{Name: "residuals.csv", URL: n.url + "/" + testID + "/files/residuals.csv", Size: 81_204, SHA256: strings.Repeat("77aa", 16)}}
	})
	b.until(`document.querySelector('#verdict').textContent.startsWith('Succeeded on worker1 after 14 s, finished ')`)
	b.until(`document.querySelectorAll('#plots [role=slider] path.band').length === 1`)
	b.until(`document.querySelector('#live').textContent.startsWith('Succeeded')`)
	b.shoot("succeeded")
	b.do(chromedp.Focus(chromedp.CSS(`#plots [role=slider]`)), chromedp.KeyEvent(kb.End))
	b.until(`document.querySelector('#plots figcaption').textContent.includes('(')`)
	b.shoot("reading")
	if got := n.events.Load(); got < 4 {
		t.Errorf("%d events were asked for: the page polls", got)
	}
	b.checkComplaints()
}
