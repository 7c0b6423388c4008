package publisher

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
)

// typesNameTheExports compares the values that the types declare with what the module
// exports, which is also all that docs/browser.md describes.
func typesNameTheExports(t *testing.T, chromium context.Context) {
	b := browsertest.NewTab(t, chromium, "favicon.ico")
	b.Do(chromedp.Navigate(newFakeNode(t).url + "/runnerbean.js"))
	browsertest.Evaluate[any](b, `(async () => {
		const types = await (await fetch('/runnerbean.d.ts')).text();
		globalThis.declared = [...types.matchAll(/^export (?:declare )?(?:async )?(?:function|const|let|class)\*? (\w+)/gm)].map((m) => m[1]).sort().join();
		globalThis.exported = Object.keys(await import('/runnerbean.js')).sort().join();
	})(), null`)
	b.Until(`globalThis.exported`)
	exported, declared := browsertest.Evaluate[string](b, `exported`), browsertest.Evaluate[string](b, `declared`)
	if exported != "follow" || declared != exported {
		t.Errorf("exported: %s, declared: %s", exported, declared)
	}
	b.CheckComplaints()
}
