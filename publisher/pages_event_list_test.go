package publisher

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

// noteEvents puts n events into the ledger, a second apart. A person caused every third.
func noteEvents(t *testing.T, b *bench, n int) {
	t.Helper()
	var list []eventlog.Event
	for i := range n {
		e := eventlog.Event{At: noon.Add(time.Duration(i) * time.Second), Kind: eventlog.KindLost, Node: fmt.Sprint("worker", i%2), Message: fmt.Sprintf("number %d.", i)}
		if i%3 == 0 {
			e.Kind, e.By = eventlog.KindDrained, "alice"
		}
		list = append(list, e)
	}
	if err := b.ledger.Events.NoteAll(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

func TestEventsPageFilters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	noteEvents(t, b, 12)
	for query, want := range map[string][]int{
		"":                                  {11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
		"?by=human":                         {9, 6, 3, 0},
		"?by=machine":                       {11, 10, 8, 7, 5, 4, 2, 1},
		"?kind=drained&node=worker1":        {9, 3},
		"?text=NUMBER+1.":                   {1},
		"?since=2026-11-22T12:00:10Z&kind=": {11, 10},
		"?until=2026-11-22T12:00":           nil,
		"?job=" + jobs.NewID():              nil,
	} {
		r := b.get("/events"+query, "Accept: text/html")
		page := bodyOf(t, r)
		var got []int
		for _, part := range strings.Split(page, "number ")[1:] {
			var n int
			if _, err := fmt.Sscanf(part, "%d.", &n); err == nil {
				got = append(got, n)
			}
		}
		if r.StatusCode != 200 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("/events%s: %d %v, want %v", query, r.StatusCode, got, want)
		}
		if len(want) == 0 && !strings.Contains(page, "No event is like that.") {
			t.Errorf("/events%s says nothing of finding nothing", query)
		}
	}
}

func TestEventsPageSaysWhoAndWhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.failed()
	noteEvents(t, b, 1)
	page := bodyOf(t, b.get("/events"))
	for _, part := range []string{`href="/jobs/` + id + `"`, `<span class="by">by alice</span>`, `href="/nodes/worker0"`, `<b class="bad">failed</b>`, `datetime="2026-11-22T12:00:00Z"`} {
		if !strings.Contains(page, part) {
			t.Errorf("no %q in %s", part, page)
		}
	}
}

func TestEventsPageTurns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	noteEvents(t, b, 100+20)
	first := bodyOf(t, b.get("/events?by=human"))
	if strings.Contains(first, `rel="next"`) {
		t.Error("40 events are on two pages")
	}
	first = bodyOf(t, b.get("/events?kind="))
	_, next, ok := strings.Cut(first, `class="button" href="`)
	next, _, _ = strings.Cut(next, `"`)
	if !ok || strings.Count(first, "<li ") != 100 {
		t.Fatalf("%d events and next %q", strings.Count(first, "<li "), next)
	}
	second := bodyOf(t, b.get(strings.ReplaceAll(next, "&amp;", "&")))
	if strings.Count(second, "<li ") != 20 || !strings.Contains(second, ">Newest</a>") || strings.Contains(second, `rel="next"`) {
		t.Errorf("the second page: %s", second)
	}
}

func TestEventsPageSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for query, want := range map[string]string{
		"since=yesterday": "“yesterday” is no time", "by=nobody": "By is human or machine.", "text=%00": "A filter holds", "cursor=x": "Nothing has happened yet",
		"until=" + url.QueryEscape(`"><script>x`): "&lt;script&gt;x” is no time",
	} {
		r := b.get("/events?" + query)
		if page := bodyOf(t, r); r.StatusCode != 200 || !strings.Contains(page, want) || strings.Contains(page, "<script>x") {
			t.Errorf("%s: %d, no %q in %s", query, r.StatusCode, want, page)
		}
	}
}

func eventsLook(t *testing.T, chromium context.Context) {
	bench := newBench(t)
	bench.register(2)
	bench.failed()
	noteEvents(t, bench, 130)
	s := httptest.NewServer(bench.p.Handler())
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	b := browsertest.NewTab(t, chromium)
	b.Do(chromedp.Navigate(s.URL + "/events?until=2026-11-22T12:01&by="))
	b.CheckLook("events")
	b.Do(chromedp.Navigate(s.URL + "/events?text=no+such+thing"))
	b.CheckLook("events-none")
	bench.failed()
	b.Do(chromedp.Navigate(s.URL + "/"))
	b.Until(`document.querySelectorAll('#events li').length === 12`)
	for what, want := range map[string]string{"now": "2finished in the last hour", "failures": "2The program said that it cannot do this job"} {
		// The node may have read the overview just before the second job failed; the page looks again.
		b.Until(`[...document.getElementById("` + what + `").querySelectorAll("div")].map((d) => d.querySelector("dd").textContent + d.querySelector("dt").textContent).join().includes("` + want + `")`)
	}
	b.CheckLook("overview-real")
	bench.do(ledger.VerbCancel, bench.queued(""))
	b.Until(`document.querySelector('#events li:first-child').textContent.includes('cancelled')`)
	b.CheckComplaints()
}
