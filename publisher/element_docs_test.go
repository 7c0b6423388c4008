package publisher

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
)

var pageInDocs = regexp.MustCompile("(?s)```html\n(.*?)```")

// pageOfTheDocs runs the complete page of docs/browser.md.
func pageOfTheDocs(t *testing.T, chromium context.Context) {
	docs, err := os.ReadFile("../docs/browser.md")
	if err != nil {
		t.Fatal(err)
	}
	found := pageInDocs.FindSubmatch(docs)
	if found == nil {
		t.Fatal("docs/browser.md has no page")
	}
	n := newFakeNode(t)
	n.known = false
	page := strings.ReplaceAll(string(found[1]), "https://results.example", n.url)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, page)
	}))
	t.Cleanup(s.Close)
	n.set(func(r *jobs.Result) {
		*r = jobs.Result{ID: testID, Program: "forecast", State: jobs.Running, Started: time.Now().Add(-time.Minute), Progress: ptr(0.5)}
	})
	tab := browsertest.NewTab(t, chromium, "404", "favicon.ico")
	tab.Do(chromedp.Navigate(s.URL))
	before, more := `document.querySelector('runnerbean-result p').checkVisibility()`, `document.querySelector('#more').checkVisibility()`
	tab.Until(flagged("connecting") + ` && ` + before)
	n.mu.Lock()
	n.known = true
	n.mu.Unlock()
	tab.Until(progressIs(0.5) + ` && !` + before + ` && !` + more)
	if got := browsertest.Evaluate[string](tab, `getComputedStyle(`+part("state")+`).color + getComputedStyle(`+part("state")+`).fontSize`); got != "rgb(44, 98, 184)20.8px" {
		t.Errorf("the state looks like %s", got)
	}
	n.set(func(r *jobs.Result) { r.State, r.Finished = jobs.Succeeded, time.Now() })
	tab.Until(flagged("succeeded") + ` && ` + more)
	n.set(func(r *jobs.Result) { r.State = jobs.Failed })
	browsertest.Evaluate[any](tab, `document.querySelector('runnerbean-result').refresh(), null`)
	tab.Until(flagged("failed") + ` && !` + more + ` && getComputedStyle(document.querySelector('runnerbean-result')).paddingLeft === '16px'`)
	tab.CheckComplaints()
	if got := regexp.MustCompile(`(?m)^Parts for .*: (.*)\.$`).FindSubmatch(docs); got == nil {
		t.Error("docs/browser.md does not list the parts")
	} else if want := browsertest.Evaluate[string](tab, `[...`+shadow+`.querySelectorAll('[part]')].map((e) => '`+"`'+e.getAttribute('part')+'`"+`').join(', ')`); string(got[1]) != want {
		t.Errorf("the parts are %s, and in the docs %s", want, got[1])
	}
}
