package publisher

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// many puts n jobs in different states into the ledger.
func (b *bench) many(n int) (ids []string) {
	b.t.Helper()
	for i := range n {
		id := b.queued(fmt.Sprintf(`"labels":{"meter":"%d"}`, i%3))
		ids = append(ids, id)
		switch i % 6 {
		case 1:
			b.running(id)
			b.report(id, 0.1*float64(1+i%9))
		case 2, 3:
			b.succeed(id, b.running(id), `{"mape":0.9}`)
		case 4:
			b.finish(id, b.running(id), ledger.Ending{
				Outcome: jobs.OutcomeFailed, State: jobs.Failed, ExitCode: 65,
				Error: &jobs.Error{Class: jobs.OutcomeFailed, Message: "no such meter"},
			})
		case 5:
			b.do(ledger.VerbCancel, id)
		}
	}
	return ids
}

// post sends a form as a browser does from a page of the node.
func (b *bench) post(path string, form url.Values) *http.Response {
	b.t.Helper()
	return b.ask(http.MethodPost, path, form.Encode(), "Content-Type: application/x-www-form-urlencoded",
		"Sec-Fetch-Site: same-origin", "Accept: text/html")
}

func TestJobsPageSaysWhatIsWrongWithAFilter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.many(6)
	page := bodyOf(t, b.get("/jobs?label=meter&program="))
	if !strings.Contains(plainWords(page), "Label “meter” is written key=value.") || strings.Contains(page, `name="id"`) {
		t.Error(plainWords(page))
	}
	page = bodyOf(t, b.get("/jobs?state=&program=forecast&label=meter%3D1&node="))
	if strings.Count(page, `name="id"`) != 2 || !strings.Contains(page, `value="meter=1"`) {
		t.Error(plainWords(page))
	}
}

func TestActingOnManyAsksFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ids := b.many(12)
	form := url.Values{"verb": {"cancel"}, "id": ids}
	asked := plainWords(bodyOf(t, b.post("/jobs/act", form)))
	for _, part := range []string{"4 jobs will be cancelled.", "2 queued end at once.", "2 running get the time to end", "8 jobs are left alone", "Cancel 4 jobs"} {
		if !strings.Contains(asked, part) {
			t.Errorf("no %q in %s", part, asked)
		}
	}
	b.counts(map[jobs.State]int{jobs.Queued: 2, jobs.Running: 2, jobs.Succeeded: 4, jobs.Failed: 2, jobs.Cancelled: 2})
	form.Set("confirm", "yes")
	did := plainWords(bodyOf(t, b.post("/jobs/act", form)))
	if !strings.Contains(did, "4 jobs cancelled.") || !strings.Contains(did, "has succeeded and its result never changes") {
		t.Error(did)
	}
	b.counts(map[jobs.State]int{jobs.Running: 2, jobs.Succeeded: 4, jobs.Failed: 2, jobs.Cancelled: 4})
}

func (b *bench) counts(want map[jobs.State]int) {
	b.t.Helper()
	got, err := b.ledger.Activity.Counts(context.Background())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range jobs.States {
		if got[s] != want[s] {
			b.t.Errorf("%d jobs are %s, want %d", got[s], s, want[s])
		}
	}
}

func TestActingOnAllThatMatchGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 300 {
		b.queued("")
	}
	form := url.Values{"verb": {"cancel"}, "all": {"yes"}, "program": {testProgram}}
	if asked := plainWords(bodyOf(t, b.post("/jobs/act", form))); !strings.Contains(asked, "300 jobs will be cancelled. 300 queued end at once.") {
		t.Error(asked)
	}
	form.Set("confirm", "yes")
	if did := plainWords(bodyOf(t, b.post("/jobs/act", form))); !strings.Contains(did, "300 jobs cancelled.") {
		t.Error(did)
	}
	b.counts(map[jobs.State]int{jobs.Cancelled: 300})
}

func TestAFormSentTwiceRetriesOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.failed()
	asked := bodyOf(t, b.post("/jobs/act", url.Values{"verb": {"retry"}, "id": {id}}))
	form := hiddenFields(asked)
	if form.Get("as_of") == "" || form.Get("confirm") != "yes" {
		t.Fatal(asked)
	}
	if did := plainWords(bodyOf(t, b.post("/jobs/act", form))); !strings.Contains(did, "1 job queued again.") {
		t.Error(did)
	}
	// The job fails again, and then the same form is sent a second time.
	b.finish(id, b.running(id), ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed})
	if did := plainWords(bodyOf(t, b.post("/jobs/act", form))); !strings.Contains(did, "Nothing has been done.1 job is left alone: changed since you looked.") {
		t.Error(did)
	}
	b.counts(map[jobs.State]int{jobs.Failed: 1})
}

func hiddenFields(page string) url.Values {
	form := url.Values{}
	for _, part := range strings.Split(page, `<input type="hidden" name="`)[1:] {
		name, rest, _ := strings.Cut(part, `"`)
		value, _, _ := strings.Cut(strings.TrimPrefix(rest, ` value="`), `"`)
		form.Add(name, value)
	}
	return form
}

func TestFormsOfJobsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	for name, form := range map[string]url.Values{
		"no verb":    {"id": {id}},
		"other verb": {"verb": {"explode"}, "id": {id}},
		"nothing":    {"verb": {"cancel"}, "confirm": {"yes"}},
		"no id":      {"verb": {"cancel"}, "id": {"../x"}, "confirm": {"yes"}},
		"bad filter": {"verb": {"cancel"}, "all": {"yes"}, "label": {"x"}, "confirm": {"yes"}},
		"bad cursor": {"verb": {"cancel"}, "all": {"yes"}, "cursor": {"x"}, "confirm": {"yes"}},
	} {
		r := b.post("/jobs/act", form)
		if page := bodyOf(t, r); r.StatusCode != http.StatusBadRequest || !strings.Contains(page, "To the list of jobs") {
			t.Errorf("%s: %d %s", name, r.StatusCode, page)
		}
	}
	evil := b.ask(http.MethodPost, "/jobs/act", "verb=cancel&confirm=yes&all=yes", "Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: cross-site")
	if evil.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %d", evil.StatusCode)
	}
	if r := b.get("/jobs/act?verb=cancel&confirm=yes&all=yes"); r.StatusCode == http.StatusOK {
		t.Errorf("GET acts: %d", r.StatusCode)
	}
	b.counts(map[jobs.State]int{jobs.Queued: 1})
}

// jobsInBrowser uses the list as a person does.
func jobsInBrowser(t *testing.T, chromium context.Context) {
	b := newBench(t)
	b.register(4)
	b.many(72)
	base := b.listen()
	tab := browsertest.NewTab(t, chromium)
	tab.Do(chromedp.Navigate(base + "/jobs"))
	tab.Until(`document.querySelectorAll('.joblist tbody tr').length === 50 && document.querySelector('#tick')?.hidden === false`)
	tab.Shoot("jobs")
	tab.CheckAccess("jobs")
	tab.CheckKeyboard("jobs")
	tab.Look(1400, "light")
	press(tab, `.pager a[rel=next]`)
	tab.Until(`document.querySelectorAll('.joblist tbody tr').length === 22 && [...document.querySelectorAll('.pager a')].map((a) => a.textContent).join() === 'Newest'`)

	press(tab, `.chips a[href*="state=queued"]`)
	tab.Until(`document.querySelector('.chips [aria-current]')?.textContent.startsWith('queued') && document.querySelectorAll('.joblist tbody tr').length === 12`)
	press(tab, `#tick:not([hidden])`)
	tab.Until(`document.querySelectorAll('input[name=id]:checked').length === 12`)
	press(tab, `button[value=cancel]`)
	tab.Until(`document.querySelector('h1')?.textContent === '12 jobs will be cancelled.'`)
	tab.Shoot("jobs-confirm")
	tab.CheckAccess("confirm")
	tab.Look(1400, "light")
	press(tab, `.ask button`)
	tab.Until(`document.querySelector('h1')?.textContent === '12 jobs cancelled.'`)
	tab.Shoot("jobs-outcome")
	tab.CheckAccess("outcome")
	b.counts(map[jobs.State]int{jobs.Running: 12, jobs.Succeeded: 24, jobs.Failed: 12, jobs.Cancelled: 24})
	tab.CheckComplaints()
}

// press clicks on the element of a selector once it is there. A live page may replace
// the element between the look and the click.
func press(tab *browsertest.Tab, selector string) {
	tab.Until(fmt.Sprintf(`(() => { const el = document.querySelector(%q); el?.click(); return el; })()`, selector))
}
