package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// dot is a PNG of one pixel.
const dot = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"

const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="240" viewBox="0 0 640 240"><script>parent.ran = 1; top.ran = 1</script><style>rect { fill: #2f7d4f }</style><rect width="640" height="240" rx="20"/><circle cx="320" cy="120" r="80" fill="#fff" onclick="alert(1)"/></svg>`

// file puts a file of the first attempt of a job into the store.
func (b *bench) file(id, name, content string) jobs.Artifact {
	b.t.Helper()
	if err := b.store.Replace(context.Background(), store.FileKey(id, 1, name), []byte(content)); err != nil {
		b.t.Fatal(err)
	}
	return jobs.Artifact{Name: name, URL: "http://127.0.0.1:8420/" + id + "/files/" + url.PathEscape(name), Size: int64(len(content)), SHA256: strings.Repeat("ab", 32)}
}

// resultOf returns a result with tables, figures and more.
func resultOf(t *testing.T) string {
	t.Helper()
	var rows []map[string]any
	for i := range 130 {
		rows = append(rows, map[string]any{"model": fmt.Sprintf("m%d", i), "mape": 0.5 + float64(i)/100, "seasons": i % 4, "converged": i%5 > 0})
	}
	doc, err := json.Marshal(map[string]any{
		"candidates": rows, "best": map[string]any{"alpha": 0.0411, "gamma": 0.1114}, "level": 0.95,
		"splits": [][]int{{1, 2, 3}, {4, 5, 6}}, "notes": []any{map[string]any{"text": "two outliers were set aside"}, nil},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

func workInBrowser(t *testing.T, chromium context.Context) {
	b := newBench(t)
	b.register(2)
	id := b.queued(`"labels":{"meter":"42","customer":"north"}`)
	base := b.listen()
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(base + "/jobs/" + id))
	tab.Until(`document.querySelector('#hero .state')?.textContent === 'queued'`)
	tab.Shoot("job-queued")
	tab.CheckAccess("queued job")
	b.running(id)
	b.report(id, 0.42)
	tab.Until(`document.querySelector('#progress')?.value === 0.42`)
	if err := b.store.Replace(context.Background(), store.LogKey(id, 1), []byte("\x1b[32mreading\x1b[0m 2,688 values\nfitting 5 parameters\n")); err != nil {
		t.Fatal(err)
	}
	told := `{"attempt":1,"seconds":[0,20,40,60],"series":[{"name":"progress","points":[0,0.1,0.3,0.42]},{"name":"evaluations","points":[null,120,900,1204]},{"name":"flat","points":[null,null,1,null]}]}`
	if err := b.store.Replace(context.Background(), store.SeriesKey(id, 1), []byte(told)); err != nil {
		t.Fatal(err)
	}
	b.report(id, 0.43)
	tab.Until(`document.querySelectorAll('#told figure').length === 2`)
	tab.Until(`document.querySelector('#log')?.textContent === 'reading 2,688 values\nfitting 5 parameters'`)
	tab.Shoot("job-running")
	tab.CheckAccess("running job")
	tab.CheckKeyboard("running job")
	b.succeed(id, 1, resultOf(t), b.file(id, "drawing.svg", drawing), b.file(id, "dot.png", dot), b.file(id, "page.html", "<script>alert(1)</script>"))
	tab.Until(`document.querySelector('#hero .state')?.textContent === 'succeeded' && document.querySelectorAll('.grid tbody tr').length === 100`)
	tab.Until(`[...document.querySelectorAll('.image img')].every((i) => { i.loading = 'eager'; return i.complete && i.naturalWidth > 0; })`)
	if browsertest.Evaluate[bool](tab, `'ran' in window`) {
		t.Error("a script in an SVG ran")
	}
	tab.Shoot("job-succeeded")
	tab.CheckAccess("succeeded job")
	tab.CheckKeyboard("succeeded job")
	tab.Look(1400, "light")
	tab.Do(chromedp.Navigate(base + "/" + id))
	tab.Until(`document.querySelectorAll('.grid tbody tr').length === 100 && document.querySelectorAll('.image').length === 2`)
	tab.Shoot("visitor-succeeded")
	tab.CheckComplaints()
}

func failedWork(t *testing.T, chromium context.Context) {
	b := newBench(t)
	b.register(2)
	id := b.queued("")
	for n := range 3 {
		state := jobs.Queued
		if n == 2 {
			state = jobs.Failed
		}
		b.finish(id, b.running(id), ledger.Ending{
			Outcome: jobs.OutcomeKilled, State: state, ExitCode: -1, Signal: "killed", CPU: 83 * time.Second, MaxRSS: 2_412_000_000,
			Error: &jobs.Error{Class: jobs.OutcomeKilled, Message: "used more memory than the 2 GiB that it may", LogTail: "fitting\n"},
		})
	}
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(b.listen() + "/jobs/" + id))
	tab.Until(`document.querySelectorAll('.tries tbody tr[data-key]').length === 6`)
	tab.Shoot("job-failed")
	tab.CheckAccess("failed job")
	tab.Look(1400, "light")
	press(tab, `button[value=retry]`)
	tab.Until(`document.querySelector('#hero .state')?.textContent === 'queued'`)
	b.running(id)
	tab.Until(`document.querySelector('#hero .state')?.textContent === 'running'`)
	press(tab, `button[value=reset]`)
	tab.Until(`document.querySelector('h1')?.textContent === 'Restart this job?'`)
	tab.Shoot("job-confirm")
	tab.CheckAccess("confirmation")
	tab.Look(1400, "light")
	press(tab, `.ask button`)
	tab.Until(`document.querySelector('#why')?.textContent.includes('reset')`)
	tab.CheckComplaints()
}

func TestWorkActions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.failed()
	act := func(path string, form url.Values) (int, string) {
		t.Helper()
		r := b.post(path, form)
		return r.StatusCode, r.Header.Get("Location") + plainWords(bodyOf(t, r))
	}
	page := bodyOf(t, b.get("/jobs/"+id))
	_, rest, _ := strings.Cut(page, `action="/jobs/`+id+`/act?`)
	query, _, _ := strings.Cut(rest, `"`)
	path := "/jobs/" + id + "/act?" + query
	if status, said := act(path, url.Values{"verb": {"retry"}}); status != http.StatusSeeOther || said != "/jobs/"+id {
		t.Errorf("%d %s", status, said)
	}
	b.finish(id, b.running(id), ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed})
	if status, said := act(path, url.Values{"verb": {"retry"}}); status != http.StatusConflict || !strings.Contains(said, "has changed since you looked") {
		t.Errorf("the same form again: %d %s", status, said)
	}
	if status, said := act(path, url.Values{"verb": {"cancel"}, "confirm": {"yes"}}); status != http.StatusConflict || !strings.Contains(said, "already come to its end") {
		t.Errorf("cancel of what has ended: %d %s", status, said)
	}
	status, first := act(path, url.Values{"verb": {"rerun"}})
	if status != http.StatusSeeOther || first == "/jobs/"+id || !strings.HasPrefix(first, "/jobs/") {
		t.Fatalf("a new job: %d %s", status, first)
	}
	if details := decodeAs[api.Details](t, b.get("/api/v1"+first)); details.Job.RerunOf != id || details.Status.State != jobs.Queued {
		t.Errorf("%+v", details.Job)
	}
	if status, said := act("/jobs/"+jobs.NewID()+"/act", url.Values{"verb": {"retry"}}); status != http.StatusNotFound {
		t.Errorf("an unknown job: %d %s", status, said)
	}
}

// A result and a log that are far too large must not hurt the page.
func TestHugeOutputIsCut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	if err := b.store.Replace(context.Background(), store.LogKey(id, 1), []byte(strings.Repeat("\u202e", 4<<20))); err != nil {
		t.Fatal(err)
	}
	b.succeed(id, 1, `"`+strings.Repeat("<b>", 4<<20)+`"`, jobs.Artifact{Name: "a.csv"})
	for _, path := range []string{"/" + id + "?format=html", "/jobs/" + id} {
		page := bodyOf(t, b.get(path))
		if len(page) > 300_000 || !strings.Contains(page, "The result has 12 MiB and is too large for this page.") || !strings.Contains(page, "?format=json") || !strings.Contains(page, "a.csv") {
			t.Errorf("%s: a page of %d bytes", path, len(page))
		}
	}
}
