package publisher

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/charttest"
)

// embedder serves a page of another origin, with a strict policy, that holds the
// element.
func embedder(t *testing.T, node, body string) string {
	return embedderWith(t, node, body, "connect-src "+node)
}

// embedderWith allows connections as the page's policy says.
func embedderWith(t *testing.T, node, body, connect string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; script-src 'self' %s; %s; style-src 'self'; img-src data:; require-trusted-types-for 'script'", node, connect))
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, `<!doctype html><html lang=en><meta name=viewport content="width=device-width"><link rel=icon href="data:,"><link rel=stylesheet href=/site.css><title>A site</title><script type=module src=%q></script><script type=module src=/site.js></script><main><h1>Demand</h1>%s</main>`, node+"/runnerbean.js", body)
		case "/site.css":
			w.Header().Set("Content-Type", "text/css")
			fmt.Fprint(w, `:root { color-scheme: light dark; font: 16px/1.5 Georgia, serif } body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem }`)
		case "/site.js":
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `globalThis.seen = []; for (const type of ['state', 'error']) document.querySelector('runnerbean-result')?.addEventListener(type, (e) => seen.push(e.detail.state ?? e.detail.message));`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s.URL
}

const shadow = `document.querySelector('runnerbean-result').shadowRoot`

func part(name string) string { return shadow + `?.querySelector('[part=` + name + `]')` }

func elementFollowsAJob(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Running, Node: "worker1", Started: time.Now().Add(-30 * time.Second), Progress: ptr(0.25), Message: "fitting \u202etxt.exe"}
	})
	b := browsertest.NewTab(t, chromium)
	b.Do(chromedp.Navigate(embedder(t, n.url, `<runnerbean-result src="`+n.url+`/`+testID+`"></runnerbean-result>`)))
	b.Until(part("progress") + `?.value === 0.25`)
	b.Until(part("state") + `.textContent === 'Running on worker1' && ` + part("left") + `.textContent.startsWith('25 %, about 1 min')`)
	b.Until(part("message") + `.textContent === 'fitting \\u{202e}txt.exe'`)
	b.Shoot("element-running")

	n.set(func(r *jobs.Result) {
		r.State, r.Progress, r.Message, r.Finished, r.Result = jobs.Succeeded, nil, "", r.Started.Add(61*time.Second), charttest.Forecast(t, 336)
		r.Artifacts = []jobs.Artifact{
			{Name: "residuals.csv", URL: n.url + "/" + testID + "/files/residuals.csv", Size: 81_204},
			{Name: "bad", URL: "javascript:alert(1)", Size: 3},
		}
	})
	b.Until(part("state") + `.textContent === 'Succeeded in 1 min 1 s'`)
	b.Until(shadow + `.querySelectorAll('[role=slider] path.line').length === 1`)
	b.Until(part("files") + `.querySelectorAll('a').length === 1 && ` + part("files") + `.querySelectorAll('li').length === 2`)
	b.Until(`seen.join() === 'running,succeeded'`)
	b.Do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	b.Until(shadow + `.querySelector('figcaption').textContent.startsWith('Mon 31 Jul 2000, 01:00: ')`)
	b.Shoot("element-succeeded")
	b.CheckComplaints()
}

// elementPolls follows a job without events, which is not known at first.
func elementPolls(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.noEvents, n.known = true, false
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Queued, Position: ptr(0)}
	})
	b := browsertest.NewTab(t, chromium, "Failed to load resource", "MIME type")
	b.Do(chromedp.Navigate(embedder(t, n.url, `<runnerbean-result src="`+n.url+`/`+testID+`"></runnerbean-result>`)))
	b.Until(part("state") + `?.textContent === 'Asking for the result'`)
	n.mu.Lock()
	n.known = true
	n.mu.Unlock()
	b.Until(part("state") + `.textContent === 'Queued, next in line'`)
	n.set(func(r *jobs.Result) {
		r.State, r.Position, r.Started, r.Node = jobs.Running, nil, time.Now(), "worker1"
	})
	b.Until(part("progress") + `.hidden === false && !` + part("progress") + `.hasAttribute('value')`)
	n.set(func(r *jobs.Result) {
		r.State, r.Finished = jobs.Failed, time.Now()
		r.Error = &jobs.Error{Class: jobs.OutcomeFailed, Message: "values: 12 are wanted, 3 are there", Pointer: "/series/values"}
	})
	b.Until(part("state") + `.textContent === 'Failed'`)
	b.Until(part("error") + `.textContent === 'values: 12 are wanted, 3 are there (at /series/values)'`)
	b.Until(`seen.join() === 'queued,running,failed'`)
	b.Shoot("element-failed")
	b.CheckComplaints()
}

func elementSaysNoResult(t *testing.T, chromium context.Context) {
	asset := serveAsset(t)
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/assets/") || r.URL.Path == "/runnerbean.js" {
			asset(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusGone)
		fmt.Fprint(w, `{"title":"Gone","status":410,"detail":"The result was archived"}`)
	}))
	t.Cleanup(gone.Close)
	b := browsertest.NewTab(t, chromium, "410", "runnerbean-result: ")
	b.Do(chromedp.Navigate(embedder(t, gone.URL, `<runnerbean-result src="`+gone.URL+`/`+testID+`"></runnerbean-result>`)))
	b.Until(part("error") + `?.textContent === 'The result was archived'`)
	b.Until(`document.querySelector('runnerbean-result').setAttribute('src', 'javascript:1') ?? true`)
	b.Until(part("error") + `.textContent.includes('http(s)')`)
	b.CheckComplaints()
}

// manyElements has more elements on a page than a browser opens connections to one
// server, of different URLs. All of them must get news.
func manyElements(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Running, Progress: ptr(0.5)}
	})
	b := browsertest.NewTab(t, chromium)
	var elements strings.Builder
	for i := range 9 {
		elements.WriteString(elementOf(fmt.Sprintf("%s/%s?element=%d", n.url, testID, i)))
	}
	b.Do(chromedp.Navigate(embedder(t, n.url, elements.String())))
	all := `[...document.querySelectorAll('runnerbean-result')]`
	b.Until(all + `.every((e) => e.result?.progress === 0.5)`)
	n.set(func(r *jobs.Result) { r.Progress = ptr(0.75) })
	b.Until(all + `.every((e) => e.result?.progress === 0.75)`)
	browsertest.Evaluate[any](b, all+`.slice(1).forEach((e) => e.remove()), null`)
	n.set(func(r *jobs.Result) { r.State = jobs.Succeeded })
	b.Until(all + `.every((e) => e.result?.state === 'succeeded')`)
	b.CheckComplaints()
}

// hostilePage shows a job in which every string comes from an attacker.
func hostilePage(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	evil := `"><img src=x onerror=alert(1)><script>alert(2)</script>` + "\u202egnp.exe\u0000\u001b[31m" + strings.Repeat("w", 400)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{
			ID: testID, Program: evil, State: jobs.Failed, Node: evil, Attempt: 2, Started: time.Now().Add(-time.Minute), Finished: time.Now(),
			Error:      &jobs.Error{Class: jobs.OutcomeError, Message: evil, Pointer: "/" + evil, LogTail: evil + "\nline 2\rline two\n"},
			Artifacts:  []jobs.Artifact{{Name: evil, URL: "javascript:alert(3)", SHA256: evil}},
			Provenance: &jobs.Provenance{Inputs: []jobs.Source{{Name: evil, URL: "data:text/html," + evil}}},
			Counters:   map[string]float64{evil: 1},
		}
	})
	b := browsertest.NewTab(t, chromium)
	b.Do(chromedp.Navigate(n.url + "/" + testID))
	b.Until(`document.querySelector('time')?.title`)
	if browsertest.Evaluate[bool](b, `!!document.querySelector('img, main script, a[href^="javascript"], a[href^="data"]')`) {
		t.Error("markup came through")
	}
	b.Shoot("hostile")
	b.CheckComplaints()
}
