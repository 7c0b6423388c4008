package publisher

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// proxy is a proxy between a browser and a node.
type proxy struct {
	url    string
	server *httptest.Server
	// held makes the proxy hold event streams back, as one that buffers answers does.
	held atomic.Bool
	// beginning lets the first event through before it holds the rest back.
	beginning bool

	mu      sync.Mutex
	streams int      // guarded; asked for so far
	waits   int      // guarded; requests that waited for news
	queries []string // guarded
}

func (b *bench) proxy(change func(*proxy)) *proxy {
	p := &proxy{}
	if change != nil {
		change(p)
	}
	node := b.p.Handler()
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream := strings.HasSuffix(r.URL.Path, "/events")
		p.note(r, stream)
		if !stream || !p.held.Load() {
			node.ServeHTTP(w, r)
			return
		}
		if p.beginning {
			node.ServeHTTP(&holding{ResponseWriter: w, events: 1}, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	b.t.Cleanup(p.server.Close)
	b.t.Cleanup(b.p.broker.End)
	b.t.Cleanup(p.server.CloseClientConnections)
	p.url = p.server.URL
	return p
}

func (p *proxy) note(r *http.Request, stream bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if stream {
		p.streams++
	}
	if r.Header.Get("Prefer") != "" && r.Method == http.MethodGet {
		p.waits++
	}
	if !strings.HasSuffix(r.URL.Path, ".js") {
		p.queries = append(p.queries, r.URL.RawQuery)
	}
}

// holding lets some events through, and holds the others back.
type holding struct {
	http.ResponseWriter
	events int
}

func (h *holding) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *holding) Write(b []byte) (int, error) {
	if h.events <= 0 {
		return len(b), nil
	}
	if bytes.Equal(b, []byte("\n\n")) {
		h.events--
	}
	return h.ResponseWriter.Write(b)
}

func elementOf(src string) string {
	return `<runnerbean-result src="` + src + `"></runnerbean-result>`
}

func progressIs(p float64) string { return fmt.Sprintf("%s?.value === %g", part("progress"), p) }

func stateIs(text string) string { return part("state") + `?.textContent.startsWith('` + text + `')` }

// elementBehindABuffer has a proxy that never lets an event through. The element must
// get its news by requests that wait for them.
func elementBehindABuffer(t *testing.T, chromium context.Context) {
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	p := b.proxy(func(p *proxy) { p.held.Store(true) })
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(embedder(t, p.url, elementOf(p.url+"/"+id))))
	tab.Until(stateIs("Running"))
	b.report(id, 0.125)
	tab.Until(progressIs(0.125))
	b.eventually(func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.waits > 0 })
	b.watched(1) // a request waits
	b.report(id, 0.25)
	tab.Until(progressIs(0.25))
	b.succeed(id, 1, "[1,2]")
	tab.Until(stateIs("Succeeded"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams != 1 {
		t.Errorf("%d streams were asked for, want 1: a stream that is held back is not asked for again soon", p.streams)
	}
	tab.CheckComplaints()
}

// elementThawed takes the network away, lets the machine sleep, and freezes the
// page as a phone does.
func elementThawed(t *testing.T, chromium context.Context) {
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	p := b.proxy(func(p *proxy) { p.beginning = true })
	tab := browsertest.NewTab(t, chromium, "ERR_")
	tab.Do(chromedp.Navigate(embedder(t, p.url, elementOf(p.url+"/"+id))))
	b.report(id, 0.125)
	tab.Until(progressIs(0.125))
	offline := func(off bool) {
		_, err := chromedp.Call(tab.Context, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1})
		if err != nil {
			t.Fatal(err)
		}
	}
	offline(true)
	tab.Until(`!navigator.onLine`)
	b.report(id, 0.1875)
	offline(false)
	tab.Until(progressIs(0.1875))

	// A clock that jumps means that the machine has slept. Open streams may be dead.
	before := p.asked()
	browsertest.Evaluate[any](tab, `(() => { const now = Date.now; Date.now = () => now() + 3_600_000; })(), null`)
	b.eventually(func() bool { return p.asked() > before })

	// This also hides the page.
	lifecycle := func(s page.SetWebLifecycleStateState) {
		if _, err := chromedp.Call(tab.Context, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: s}); err != nil {
			t.Fatal(err)
		}
	}
	lifecycle(page.SetWebLifecycleStateStateFrozen)
	p.held.Store(true)
	p.server.CloseClientConnections()
	b.report(id, 0.25)
	p.held.Store(false)
	lifecycle(page.SetWebLifecycleStateStateActive)
	tab.Until(progressIs(0.25))
	b.succeed(id, 1, "3")
	tab.Until(stateIs("Succeeded"))
	tab.CheckComplaints()
}

func (p *proxy) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.streams
}

// elementSeesARetry takes a job through failure, retry and cancellation.
func elementSeesARetry(t *testing.T, chromium context.Context) {
	b := newBench(t)
	id := b.failed()
	base := b.listen()
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(embedder(t, base, elementOf(base+"/"+id))))
	tab.Until(stateIs("Failed"))
	tab.Until(part("error") + `.textContent === 'no such meter'`)
	b.watched(0) // it has stopped at the final state
	b.do(ledger.VerbRetry, id)
	browsertest.Evaluate[any](tab, `document.dispatchEvent(new Event('visibilitychange')), null`)
	tab.Until(stateIs("Queued") + ` && ` + part("error") + `.hidden`)
	b.running(id)
	tab.Until(stateIs("Running on node1"))
	b.do(ledger.VerbCancel, id)
	b.finish(id, 2, ledger.Ending{Outcome: jobs.OutcomeCancelled, State: jobs.Cancelled})
	tab.Until(stateIs("Cancelled"))
	b.do(ledger.VerbRetry, id)
	browsertest.Evaluate[any](tab, `document.querySelector('runnerbean-result').refresh(), null`)
	tab.Until(stateIs("Queued"))
	b.running(id)
	b.succeed(id, 3, "3")
	tab.Until(stateIs("Succeeded"))
	if got, want := browsertest.Evaluate[string](tab, `seen.join()`), "failed,queued,running,"; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, ",succeeded") {
		t.Errorf("the states were %s", got)
	}
	tab.CheckComplaints()
}

// elementKeepsTheSignature checks that the element sends the query of a signed URL with
// all its requests.
func elementKeepsTheSignature(t *testing.T, chromium context.Context) {
	const signed = "expires=1900000000&signature=abc"
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	p := b.proxy(nil)
	tab := browsertest.NewTab(t, chromium, "400")
	tab.Do(chromedp.Navigate(embedder(t, p.url, elementOf(p.url+"/"+id+"?"+signed))))
	tab.Until(stateIs("Running"))
	b.succeed(id, 1, "3", jobs.Artifact{Name: "a.csv", URL: p.url + "/" + id + "/files/a.csv"}, jobs.Artifact{Name: "b", URL: p.url + "/other"})
	tab.Until(stateIs("Succeeded"))
	want := fmt.Sprintf("%s/%s/files/a.csv?%s %s/other", p.url, id, signed, p.url)
	if got := browsertest.Evaluate[string](tab, `[...`+part("files")+`.querySelectorAll('a')].map((a) => a.href).join(' ')`); got != want {
		t.Errorf("the files are %s, want %s", got, want)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queries) < 2 || p.streams == 0 {
		t.Errorf("%d requests, %d streams", len(p.queries), p.streams)
	}
	for _, q := range p.queries {
		if q != signed && q != "job="+id+".1900000000.abc" {
			t.Errorf("asked with the query %q", q)
		}
	}
	tab.CheckComplaints()
}

// elementIsThemed sets each variable and each part. It also checks what people get who
// use a screen reader or want no motion.
func elementIsThemed(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	evil := `"><img src=x onerror=alert(1)>` + "\u202e\u001b[31m"
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: evil, State: jobs.Running, Node: evil, Message: evil, Started: time.Now().Add(-time.Minute), Progress: ptr(0.5)}
	})
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(embedder(t, n.url, elementOf(n.url+"/"+testID))))
	tab.Until(progressIs(0.5))
	browsertest.Evaluate[any](tab, `(() => {
		const el = document.querySelector('runnerbean-result'), sheet = new CSSStyleSheet();
		sheet.replaceSync('runnerbean-result::part(message) { letter-spacing: 3px }');
		document.adoptedStyleSheets = [sheet];
		for (const [i, name] of ['accent', 'ink', 'soft', 'line', 'paper', 'bad', 'warn'].entries()) el.style.setProperty('--runnerbean-' + name, 'rgb(' + (i + 1) + ', 0, 0)');
	})(), null`)
	for query, want := range map[string]string{
		`getComputedStyle(` + part("state") + `).color`:              "rgb(1, 0, 0)",
		`getComputedStyle(` + shadow + `.host).color`:                "rgb(2, 0, 0)",
		`getComputedStyle(` + part("left") + `).color`:               "rgb(3, 0, 0)",
		`getComputedStyle(` + part("progress") + `).backgroundColor`: "rgb(4, 0, 0)",
		`getComputedStyle(` + part("message") + `).letterSpacing`:    "3px",
		part("state") + `.getAttribute('aria-live')`:                 "polite",
		part("progress") + `.getAttribute('aria-label')`:             "Progress",
		part("progress") + `.localName`:                              "progress",
		`'' + [...` + shadow + `.querySelectorAll('[aria-live], [role=status], [role=alert]')].map((e) => e.getAttribute('part'))`: "state,,error",
		`'' + ` + shadow + `.querySelectorAll('img, script, a').length`:                                                            "0",
	} {
		if got := browsertest.Evaluate[string](tab, query); got != want {
			t.Errorf("%s is %q, want %q", query, got, want)
		}
	}
	n.set(func(r *jobs.Result) { r.State, r.Error = jobs.Failed, &jobs.Error{Message: evil} })
	tab.Until(stateIs("Failed"))
	if got := browsertest.Evaluate[string](tab, `getComputedStyle(`+part("error")+`).color`); got != "rgb(6, 0, 0)" {
		t.Errorf("a failure is %s", got)
	}
	tab.CheckComplaints()
}

func TestAWaitEndsAtOnceForWhoIsBehind(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	tag := b.get("/" + id).Header.Get("ETag")
	if r := b.get("/"+id, "If-None-Match: "+tag); r.StatusCode != http.StatusNotModified {
		t.Errorf("%d for what is known", r.StatusCode)
	}
	b.report(id, 0.5)
	r := b.get("/"+id, "If-None-Match: "+tag, "Prefer: wait=60") // would hold for a minute
	if got := decodeAs[jobs.Result](t, r); got.Progress == nil || *got.Progress != 0.5 || r.Header.Get("ETag") == tag {
		t.Errorf("%+v", got)
	}
	b.watched(0)
}
