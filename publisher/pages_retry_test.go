package publisher

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger"
)

// retryIsSeen checks that a browser which has seen a failure sees a retry: after a
// reload, and then live.
func retryIsSeen(t *testing.T, chromium context.Context) {
	b := newBench(t)
	base, id := b.listen(), b.failed()
	tab := browsertest.NewTab(t, chromium, "favicon.ico")
	tab.Do(chromedp.Navigate(base + "/" + id))
	tab.Until(`document.getElementById('job').dataset.state === 'failed'`)
	b.do(ledger.VerbRetry, id)
	tab.Do(chromedp.Reload())
	tab.Until(`document.getElementById('job').dataset.state === 'queued' && document.body.innerText.includes('no such meter')`)
	attempt := b.running(id)
	tab.Until(`document.getElementById('job').dataset.state === 'running'`)
	b.succeed(id, attempt, "[1]")
	tab.Until(`document.getElementById('job').dataset.state === 'succeeded'`)
	tab.CheckComplaints()
}
