package publisher

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// TestElementFollowsAFake has the element show what a test says of a job, without a node.
func TestElementFollowsAFake(t *testing.T) {
	t.Parallel()
	fake := jobstest.NewFake(t)
	job, err := fake.Client.Enqueue(t.Context(), jobs.Job{Program: "forecast", Input: jobs.Data(7)})
	if err != nil {
		t.Fatal(err)
	}
	asset := serveAsset(t)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			asset(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>Order</title><link rel="icon" href="data:,">
<script type="module" src="/runnerbean.js"></script>
<runnerbean-result src="%s"></runnerbean-result>`, job.Result.URL)
	}))
	defer site.Close()
	tab := browsertest.NewTab(t, browsertest.Start(t), "404") // the fake has no stream for many results
	tab.Open(site.URL)
	const state = `document.querySelector('runnerbean-result').result?.`
	tab.Until(state + `state === 'queued'`)
	fake.Progress(job.ID, 0.4, "week 3")
	tab.Until(state + `progress === 0.4`)
	fake.Succeed(job.ID, map[string]int{"beans": 42})
	tab.Until(state + `result?.beans === 42`)
	tab.CheckComplaints()
}
