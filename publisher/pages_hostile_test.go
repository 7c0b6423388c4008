package publisher

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/chunks"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// hostileWork opens the list and the pages of jobs in which every string from outside
// comes from an attacker.
func hostileWork(t *testing.T, chromium context.Context) {
	evil := `"><img src=x onerror=alert(1)><script>alert(2)</script><a href="javascript:alert(3)">x</a>` + "\u202egnp.exe\u001b[31m"
	quoted := func(s string) string { data, _ := json.Marshal(s); return string(data) }
	b := newBench(t)
	b.register(2)
	running := b.queued(`"labels":{"k":` + quoted(evil) + `}`)
	b.running(running)
	progress := 0.5
	err := b.ledger.Report(context.Background(), running, 1, ledger.Live{Progress: &progress, Message: evil, Counters: map[string]float64{evil: 1}, Chunks: []chunks.Chunk{{ID: evil[:100], Of: evil[:90], Number: 1, Began: time.Now()}}, Partial: []byte(`{` + quoted(evil) + `:[` + quoted(evil) + `,{}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.store.Replace(context.Background(), store.LogKey(running, 1), []byte(evil+"\n"+evil)); err != nil {
		t.Fatal(err)
	}
	failed := b.queued("")
	b.finish(failed, b.running(failed), ledger.Ending{
		Outcome: jobs.OutcomeError, State: jobs.Failed, ExitCode: 1, Signal: evil,
		Error: &jobs.Error{Class: jobs.OutcomeError, Message: evil, Pointer: "/" + evil, LogTail: evil},
	})
	page, _ := b.succeeded(`[{"`+"html"+`":`+quoted("<!doctype html>"+evil)+`},{"html":`+quoted(evil)+`}]`, jobs.Artifact{Name: evil + ".png", URL: "javascript:alert(4)", Size: 3})
	base := b.listen()
	tab := browsertest.NewTab(t, chromium, "status of 503") // the file is not in the store
	for _, path := range []string{"/jobs", "/jobs?label=" + "%22%3E%3Cimg%20src%3Dx%3E=1", "/jobs?text=%3Cscript%3Ealert(1)%3C/script%3E", "/jobs/" + running, "/jobs/" + failed, "/jobs/" + page, "/" + page} {
		tab.Do(chromedp.Navigate(base + path))
		tab.Until(`document.querySelector('h1') && document.readyState === 'complete'`)
		bad := browsertest.Evaluate[string](tab, `[...document.querySelectorAll('main img:not([loading]), main script:not([src$="/assets/jobs.js"]), [onerror], a[href^="javascript"], a[href^="data"], iframe, object')].map((e) => e.outerHTML).join()`)
		if bad != "" {
			t.Errorf("%s: markup came through: %s", path, bad)
		}
		if browsertest.Evaluate[bool](tab, `/[\u202e\u001b]/.test(document.documentElement.outerHTML)`) {
			t.Errorf("%s: a control character came through", path)
		}
	}
	tab.Do(chromedp.Navigate(base + "/jobs/" + running))
	tab.Shoot("job-hostile")
	tab.CheckComplaints()
}

func TestJobsPageSaysHowFarItHasLooked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var entries []ledger.Entry
	for range 2500 {
		id := jobs.NewID()
		document := jobDocument(id, "")
		job, err := jobdoc.Decode(document)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, ledger.Entry{Job: job, Document: document})
	}
	if _, err := b.ledger.Accept(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	page := bodyOf(t, b.get("/jobs?text=nowhere"))
	if words := plainWords(page); !strings.Contains(words, "Looked back to") || !strings.Contains(words, "Search further back") {
		t.Error(words)
	}
	t.Logf("a search that finds nothing took %s", time.Since(began))
}
