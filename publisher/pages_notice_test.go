package publisher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// madeAgo returns an id of a given age.
func madeAgo(t testing.TB, age time.Duration) string {
	t.Helper()
	id, err := uuid.Parse(jobs.NewID())
	if err != nil {
		t.Fatal(err)
	}
	for i, ms := 0, time.Now().Add(-age).UnixMilli(); i < 6; i++ {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id.String()
}

// The page about a job that has not arrived must not wait for ever in silence.
func TestAJobThatIsYetToComeHasAPage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const soon, overdue = "Your order is on its way", "Your order has not arrived yet"
	for name, test := range map[string]struct{ id, heading, refresh string }{
		"new":             {jobs.NewID(), soon, "5"},
		"a minute old":    {madeAgo(t, time.Minute), soon, "5"},
		"minutes old":     {madeAgo(t, 5*time.Minute), overdue, "30"},
		"days old":        {madeAgo(t, 50*time.Hour), overdue, "300"},
		"from the future": {madeAgo(t, -time.Hour), soon, "5"},
		"of version 4":    {uuid.NewString(), soon, "5"},
	} {
		for _, path := range []string{"/" + test.id, "/results/" + test.id} {
			r := b.get(path, asBrowser)
			page := bodyOf(t, r)
			if r.StatusCode != 404 || r.Header.Get("Content-Type") != typeHTML || r.Header.Get("Cache-Control") != httpio.NoStore || r.Header.Get("Content-Security-Policy") != resultPolicy {
				t.Errorf("%s: %d %v", name, r.StatusCode, r.Header)
			}
			for _, part := range []string{
				"<h1 id=\"heading\">" + test.heading + "</h1>", test.id, `<noscript><meta http-equiv="refresh" content="` + test.refresh + `"></noscript>`,
				`src="/assets/arrival.js"`, "one of these may be the reason",
			} {
				if !strings.Contains(page, part) {
					t.Errorf("%s: no %q in %s", name, part, page)
				}
			}
			if strings.Contains(page, `id="late" hidden`) != (test.heading == soon) || strings.Contains(page, testNode) {
				t.Errorf("%s: %s", name, page)
			}
			if r := b.get(path); r.StatusCode != 404 || r.Header.Get("Content-Type") != httpio.TypeProblem {
				t.Errorf("%s as JSON: %d %v", name, r.StatusCode, r.Header)
			}
		}
	}
	id := jobs.NewID()
	b.get("/"+id, asBrowser)
	if _, err := b.acceptDocument(t.Context(), jobDocument(id, ""), ""); err != nil {
		t.Fatal(err)
	}
	if r := b.get("/"+id, asBrowser); r.StatusCode != 202 || !strings.Contains(bodyOf(t, r), "Queued") {
		t.Errorf("when it has come: %d", r.StatusCode)
	}
}

// Errors of results are a page for a browser, and a problem for a program.
func TestErrorsOfResultsAreForWhoAsks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	signed, _ := newSigned(t)
	done := b.withFile()
	lost, _ := b.succeeded("1")
	cut := b.withFile()
	for _, key := range []string{store.ResultKey(lost), store.FileKey(cut, 1, "plot.png")} {
		if err := b.store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	id := signed.withFile()
	closed := newBench(t)
	gone := closed.queued("")
	if err := closed.ledger.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path string
		b          *bench
		status     int
		says       string
	}{
		{"no id", "/x", b, 404, "There is nothing at this address"},
		{"half an id", "/results/" + done[:20], b, 404, "not copied as a whole"},
		{"something behind it", "/" + done + "/x/y", b, 404, "There is nothing at this address"},
		{"encoded", "/results%2f" + done, b, 404, "There is nothing at this address"},
		{"no file", "/" + done + "/files/x", b, 404, "The result names no such file."},
		{"no log", "/" + done + "/log?attempt=7", b, 404, "The job has had 1 attempt."},
		{"a wrong parameter", "/" + done + "/log?lines=7", b, 400, "attempt, tail"},
		{"lost result", "/" + lost, b, 503, "The result is missing"},
		{"file of a lost result", "/" + lost + "/files/x", b, 503, "The result is missing"},
		{"lost file", "/" + cut + "/files/plot.png", b, 503, "The file is missing"},
		{"signature missing", "/" + id, signed, 401, "This address is not complete"},
		{"signature expired", "/" + id + "?" + signedQuery(t, id, -time.Second), signed, 403, "This URL has expired; ask whoever gave it to you"},
		{"signature wrong", "/" + id + "?" + signedQuery(t, done, time.Hour), signed, 403, "The signature of this URL is not right"},
		{"signature of a log", "/" + id + "/log", signed, 401, "This address is not complete"},
		{"broken ledger", "/" + gone, closed, 500, "Something went wrong here"},
	} {
		r := test.b.get(test.path, asBrowser)
		page := bodyOf(t, r)
		if r.StatusCode != test.status || r.Header.Get("Content-Type") != typeHTML || r.Header.Get("Cache-Control") != httpio.NoStore || !strings.Contains(plainWords(page), test.says) {
			t.Errorf("%s: %d %v %s", test.name, r.StatusCode, r.Header, page)
		}
		if again := strings.Contains(page, "http-equiv"); again != (test.status >= 500) {
			t.Errorf("%s: it looks again: %v", test.name, again)
		}
		r = test.b.get(test.path)
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != test.status || p.Status != test.status || r.Header.Get("Content-Type") != httpio.TypeProblem {
			t.Errorf("%s as JSON: %d %+v", test.name, r.StatusCode, p)
		}
	}
	if page := bodyOf(t, signed.get("/"+id, asBrowser)); !strings.Contains(page, `href="/login?next=%2F`+id+`"`) {
		t.Errorf("no way to sign in: %s", page)
	}
	for range access.FailureBurst + 5 {
		signed.get("/" + id + "?signature=x")
	}
	if r := signed.get("/"+id+"?signature=x", asBrowser); r.StatusCode != 429 || !strings.Contains(bodyOf(t, r), "Too many requests came from your network") {
		t.Errorf("too many: %d", r.StatusCode)
	}
	for _, format := range []string{"json", "html"} {
		want := map[string]string{"json": httpio.TypeProblem, "html": typeHTML}[format]
		if r := b.get("/"+jobs.NewID()+"?format="+format, asBrowser); r.Header.Get("Content-Type") != want {
			t.Errorf("format=%s gives %s", format, r.Header.Get("Content-Type"))
		}
	}
}

// Elsewhere programs ask, so errors are problems.
func TestErrorsElsewhereStayAsTheyAre(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Ready = func(context.Context) error { return errors.New("no") } })
	for _, path := range []string{"/api/v1/jobs/x", "/api/v2", "/readyz", "/schema/x", "/assets/x"} {
		if r := b.get(path, asBrowser); r.StatusCode < 400 || r.Header.Get("Content-Type") != httpio.TypeProblem {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.Header.Get("Content-Type"))
		}
	}
}

// awaitInBrowser opens the address of a job before there is one.
func awaitInBrowser(t *testing.T, chromium context.Context) {
	b := newBench(t)
	addr, stop := b.serve()
	id := jobs.NewID()
	tab := browsertest.NewTab(t, chromium, "404")
	tab.Open("http://" + addr + "/" + id)
	tab.Until(`document.querySelector('h1').textContent === 'Your order is on its way' && document.querySelector('#late').hidden`)
	tab.CheckAccess("on its way")
	tab.Shoot("on-its-way")
	browsertest.Evaluate[string](tab, `document.querySelector('#arrival').dataset.late = '0'`) // minutes have passed
	tab.Until(`document.querySelector('h1').textContent === 'Your order has not arrived yet' && !document.querySelector('#late').hidden`)
	tab.CheckAccess("not arrived")
	tab.Shoot("not-arrived")
	if _, err := b.acceptDocument(context.Background(), jobDocument(id, ""), ""); err != nil {
		t.Fatal(err)
	}
	tab.Until(`document.querySelector('#job')?.dataset.state === 'queued'`)
	attempt := b.running(id)
	tab.Until(`document.querySelector('#job')?.dataset.state === 'running'`)
	b.succeed(id, attempt, "[1,2]")
	tab.Until(`document.querySelector('#verdict')?.textContent.startsWith('Succeeded')`)
	tab.Open(fmt.Sprintf("http://%s/%s/log?attempt=9", addr, id))
	tab.Until(`document.querySelector('h1').textContent === 'There is nothing at this address'`)
	tab.CheckAccess("nothing")
	tab.Shoot("nothing-here")
	tab.CheckComplaints()
	tab.Open("about:blank")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// awaitWithoutScripts does the same in a browser without scripts, which loads the page
// again every few seconds.
func awaitWithoutScripts(t *testing.T, chromium context.Context) {
	b := newBench(t)
	addr, stop := b.serve()
	id := jobs.NewID()
	tab := browsertest.NewTab(t, chromium, "404")
	tab.ForbidScripts()
	tab.Open("http://" + addr + "/" + id)
	tab.Until(`document.querySelector('h1').textContent === 'Your order is on its way'`)
	if _, err := b.acceptDocument(context.Background(), jobDocument(id, ""), ""); err != nil {
		t.Fatal(err)
	}
	tab.Until(`document.querySelector('#job')?.dataset.state === 'queued'`)
	tab.Open("about:blank")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAnOperatorSeesAJobWhoseResultIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded("1")
	if err := b.store.Delete(t.Context(), store.ResultKey(id)); err != nil {
		t.Fatal(err)
	}
	r := b.get("/jobs/"+id, asBrowser)
	if page := bodyOf(t, r); r.StatusCode != http.StatusOK || !strings.Contains(page, "Its result is missing") {
		t.Errorf("%d %s", r.StatusCode, page)
	}
}
