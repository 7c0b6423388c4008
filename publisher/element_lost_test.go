package publisher

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/charttest"
)

func flagged(state string) string {
	return `document.querySelector('runnerbean-result').matches(':state(` + state + `)')`
}

// elementTellsLoss kills the node at "97 %, a few seconds left", and starts it again.
func elementTellsLoss(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Running, Node: "worker1", Started: time.Now().Add(-time.Minute), Progress: ptr(0.97)}
	})
	tab := browsertest.NewTab(t, chromium, "Failed to load resource", "ERR_")
	tab.Do(chromedp.Navigate(embedder(t, n.url, elementOf(n.url+"/"+testID))))
	tab.Until(part("left") + `?.textContent === '97 %, a few seconds left'`)
	browsertest.Evaluate[any](tab, recordStates)
	browsertest.Evaluate[any](tab, `(() => {
		globalThis.announced = [];
		const region = `+part("connection")+`.querySelector('[role=status]');
		new MutationObserver(() => announced.push(region.textContent)).observe(region, {childList: true, characterData: true, subtree: true});
	})(), null`)
	n.die()
	tab.Until(flagged("lost") + ` && ` + flagged("running"))
	tab.Until(`/^No connection for \d+ s; trying again in \d+ s$/.test(` + part("connection") + `.textContent)`)
	// The seconds change also between two events.
	browsertest.Evaluate[any](tab, `(() => {
		globalThis.counted = [];
		const since = `+part("connection")+`.lastChild;
		new MutationObserver(() => counted.push(events.length)).observe(since, {childList: true, characterData: true, subtree: true});
	})(), null`)
	tab.Until(`new Set(counted).size < counted.length`)
	if got := browsertest.Evaluate[string](tab, `[`+part("state")+`, `+part("left")+`].map((e) => e.textContent).join()`); got != "Running on worker1,97 %" {
		t.Errorf("without a connection it says %q", got)
	}
	alive, stale := `getComputedStyle(`+part("state")+`).color`, ""
	stale = browsertest.Evaluate[string](tab, alive)

	n.dead.Store(false)
	browsertest.Evaluate[any](tab, `dispatchEvent(new Event('online')), null`)
	tab.Until(`!` + flagged("lost") + ` && ` + part("left") + `.textContent.endsWith('left')`)
	tab.Until(part("connection") + `.getBoundingClientRect().height < 2`)
	if browsertest.Evaluate[string](tab, alive) == stale {
		t.Error("what is old looks like what is new")
	}
	// Each is announced once, however often the seconds change.
	if got := browsertest.Evaluate[string](tab, `announced.join()`); got != "No connection,Connected again" {
		t.Errorf("a screen reader heard %s", got)
	}
	got := browsertest.Evaluate[[]string](tab, `events.filter((e) => !e.startsWith('state'))`)
	if len(got) < 2 || got[0] != "connection false" || got[len(got)-1] != "connection true" {
		t.Errorf("the events were %s", got)
	}

	n.broken.Store(true)
	n.server.CloseClientConnections()
	tab.Until(part("connection") + `.textContent.startsWith('The server cannot answer for ')`)
	n.broken.Store(false)
	n.set(func(r *jobs.Result) { r.State, r.Finished = jobs.Succeeded, time.Now() })
	tab.Until(flagged("succeeded") + ` && !` + flagged("lost") + ` && ` + part("state") + `.textContent.startsWith('Succeeded in')`)
	tab.CheckComplaints()
}

// repairable serves the assets, and a document in the state in wrong or what is wrong.
func repairable(t *testing.T, wrong *atomic.Value) (url string) {
	asset := serveAsset(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/assets/") || r.URL.Path == "/runnerbean.js" {
			asset(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		switch wrong.Load() {
		case "other JSON":
			fmt.Fprint(w, `{"state":7,"items":[]}`)
		case "HTML":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<!doctype html><title>Soon</title><p>We will be back soon.`)
		case "no CORS":
			w.Header().Del("Access-Control-Allow-Origin")
			fmt.Fprintf(w, `{"id":%q,"state":"succeeded"}`, testID)
		default:
			fmt.Fprintf(w, `{"id":%q,"program":"forecast","state":%q,"timestamp":"2026-01-01T00:00:00Z"}`, testID, wrong.Load())
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s.URL
}

// elementTellsDeadEnds has servers that will never show a result, until somebody repairs
// them.
func elementTellsDeadEnds(t *testing.T, chromium context.Context) {
	const odd, secret = "The server answers, but not with a result.", "This page is not allowed to read it. Please tell whoever runs the page."
	for what, want := range map[string]struct{ title, text, hint string }{
		"other JSON": {"No result", odd, "answers, but not with a result"},
		"HTML":       {"No result", odd, "answers, but not with a result"},
		"no CORS":    {"The result cannot be shown", secret, "Access-Control-Allow-Origin"},
		"policy":     {"The result cannot be shown", secret, "connect-src http://127.0.0.1"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var wrong atomic.Value
			wrong.Store(what)
			node := repairable(t, &wrong)
			connect := "connect-src " + node
			if what == "policy" {
				connect = "connect-src 'none'"
			}
			tab := browsertest.NewTab(t, chromium)
			tab.Do(chromedp.Navigate(embedderWith(t, node, elementOf(node+"/"+testID), connect)))
			says := func(name, text string) string {
				return part(name) + `.checkVisibility() && ` + part(name) + `.textContent === '` + text + `'`
			}
			tab.Until(flagged("error") + ` && ` + says("state", want.title) + ` && ` + says("error", want.text))
			if got := browsertest.Evaluate[string](tab, part("connection")+`.textContent`); got != "" {
				t.Errorf("it also says %q", got)
			}
			// The page's own script may be loaded later than a policy is found.
			if got := browsertest.Evaluate[int](tab, `globalThis.seen?.length ?? 0`); got != 1 && what != "policy" {
				t.Errorf("%d events", got)
			}
			hints := slices.DeleteFunc(tab.Complaints(), func(s string) bool { return !strings.HasPrefix(s, "warning: ") })
			if len(hints) != 1 || !strings.Contains(hints[0], want.hint) {
				t.Errorf("the hints are %q", hints)
			}
			if what == "policy" {
				return
			}
			repaired := ` && !` + flagged("error") + ` && ` + part("error") + `.hidden`
			wrong.Store("running")
			tab.Until(flagged("running") + repaired)
			wrong.Store(what)
			if what == "HTML" { // the document is known, and is known again
				tab.Until(flagged("running") + ` && ` + flagged("error") + ` && ` + says("error", want.text))
				wrong.Store("running")
				tab.Until(flagged("running") + repaired)
			}
			wrong.Store("succeeded")
			tab.Until(flagged("succeeded") + repaired + ` && ` + says("state", "Succeeded"))
		})
	}
}

// elementRefused shows URLs of signed results that are refused.
func elementRefused(t *testing.T, chromium context.Context) {
	b, _ := newSigned(t)
	id, _ := b.succeeded("3")
	base := b.listen()
	query := signedQuery(t, id, time.Hour)
	tab := browsertest.NewTab(t, chromium, "403", "401", "404")
	tab.Do(chromedp.Navigate(embedder(t, base, elementOf(base+"/"+id+"?"+query))))
	tab.Until(flagged("succeeded"))
	browsertest.Evaluate[any](tab, recordStates)
	for what, want := range map[string]string{
		"?" + signedQuery(t, id, -time.Hour): "This link has expired|Ask whoever gave it to you for a new one",
		"?" + query + "0":                    "This link is not valid|",
		"":                                   "This link is not valid|",
	} {
		browsertest.Evaluate[any](tab, `element.src = '`+base+"/"+id+what+`', null`)
		tab.Until(flagged("error") + ` && !` + flagged("succeeded") + ` && (` + part("state") + `.textContent + '|' + ` + part("error") + `.textContent).startsWith('` + want + `') && !` + part("error") + `.hidden`)
	}
	if got := browsertest.Evaluate[[]string](tab, `events`); len(got) != 3 || !strings.HasPrefix(strings.Join(got, ""), "error ") {
		t.Errorf("the events were %q", got)
	}
	browsertest.Evaluate[any](tab, `element.src = '`+base+"/"+id+"?"+query+`', null`)
	tab.Until(flagged("succeeded") + ` && !` + flagged("error"))
	tab.CheckComplaints()
}

// elementLooks looks at the element in each of its states, also on a small phone.
func elementLooks(t *testing.T, chromium context.Context) {
	n := newFakeNode(t)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Queued, Position: ptr(3)}
	})
	n.known = false
	b := browsertest.NewTab(t, chromium, "Failed to load resource", "ERR_")
	b.Do(chromedp.Navigate(embedder(t, n.url, `<runnerbean-result src="`+n.url+`/`+testID+`"></runnerbean-result>`)))
	look := func(name, until string) {
		t.Helper()
		b.Until(until)
		for _, width := range []int64{760, 320} {
			for _, scheme := range []string{"light", "dark"} {
				b.Look(width, scheme)
				for _, fault := range b.Audit() {
					t.Errorf("%s at %d pixels, %s: %s", name, width, scheme, fault)
				}
				if dir := os.Getenv("RUNNERBEAN_SCREENSHOTS"); dir != "" {
					png, err := chromedp.Run(b.Context, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("element-%s-%d-%s.png", name, width, scheme)), png, 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	look("connecting", flagged("connecting"))
	n.mu.Lock()
	n.known = true
	n.mu.Unlock()
	look("queued", flagged("queued"))
	n.set(func(r *jobs.Result) {
		r.State, r.Position, r.Node, r.Started = jobs.Running, nil, "worker1", time.Now()
	})
	look("begun", flagged("running"))
	n.set(func(r *jobs.Result) {
		r.Started, r.Progress, r.Message = time.Now().Add(-time.Minute), ptr(0.42), "fitting, week 3 of 8"
		r.Partial = charttest.Forecast(t, 96)
	})
	look("running", shadow+`.querySelectorAll('path.line').length`)
	n.die()
	look("lost", flagged("lost")+` && / in \d/.test(`+part("connection")+`.textContent)`)
	n.dead.Store(false)
	browsertest.Evaluate[any](b, `dispatchEvent(new Event('online')), null`)
	b.Until(`!` + flagged("lost"))
	n.set(func(r *jobs.Result) {
		r.State, r.Finished, r.Progress, r.Message, r.Partial, r.Result = jobs.Succeeded, time.Now(), nil, "", nil, charttest.Forecast(t, 336)
		r.Artifacts = []jobs.Artifact{{Name: "plots/residuals.csv", URL: n.url + "/" + testID + "/files/residuals.csv", Size: 81_204}, {Name: "report.pdf", URL: n.url + "/" + testID + "/files/report.pdf", Size: 1_204_000}}
	})
	look("succeeded", flagged("succeeded")+` && `+shadow+`.querySelectorAll('path.band').length`)
	b.CheckKeyboard("succeeded")
	n.set(func(r *jobs.Result) {
		r.State, r.Result, r.Artifacts = jobs.Failed, nil, nil
		r.Error = &jobs.Error{Class: jobs.OutcomeFailed, Message: "values: 12 are wanted, 3 are there", Pointer: "/series/values"}
	})
	browsertest.Evaluate[any](b, `document.querySelector('runnerbean-result').refresh(), null`)
	look("failed", flagged("failed"))
	browsertest.Evaluate[any](b, `document.querySelector('runnerbean-result').src = '`+n.url+`/expired', null`)
	look("error", flagged("error"))
	b.CheckComplaints()
}
