package publisher

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// familyInBrowser shows the jobs that a program has made as a pipeline, on their pages and on that
// of the first job, while they go on.
func familyInBrowser(t *testing.T, chromium context.Context) {
	b := newBench(t)
	b.register(2)
	first := b.queued("")
	made := `"labels":{"family":"` + first + `","parent":"` + first + `","depth":"1"}`
	waits, runs, fails := b.queued(made), b.queued(made), b.queued(made)
	b.succeed(first, b.running(first), "1")
	b.running(runs)
	b.finish(fails, b.running(fails), ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed, ExitCode: 65})
	base := b.listen()
	tab := browsertest.NewTab(t, chromium)
	row := func(queued, running, succeeded, failed string) string {
		return `[...document.querySelectorAll('#family tbody td')].map((c) => c.textContent).slice(1, 6).join() === '0,` + queued + `,` + running + `,` + succeeded + `,` + failed + `'`
	}
	for _, id := range []string{first, waits} {
		tab.Do(chromedp.Navigate(base + "/jobs/" + id))
		tab.Until(row("1", "1", "0", "1"))
		tab.CheckAccess("pipeline")
		tab.CheckKeyboard("pipeline")
	}
	tab.CheckLook("pipeline")
	if parent := browsertest.Evaluate[string](tab, `document.querySelector('#family .files a').getAttribute('href')`); parent != "/jobs/"+first {
		t.Errorf("the parent is %s", parent)
	}
	b.succeed(waits, b.running(waits), "1")
	tab.Until(row("0", "1", "1", "1"))
	tab.Do(chromedp.Click(chromedp.CSS(`#family tbody td:nth-child(6) a`)))
	tab.Until(`document.querySelectorAll('main tbody tr').length === 1`)
	tab.CheckComplaints()
}
