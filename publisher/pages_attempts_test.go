package publisher

import (
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

func TestPageTellsOfEarlierAttempts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.failed()
	shows := func(wants bool, words ...string) {
		t.Helper()
		page := bodyOf(t, b.get("/"+id, "Accept: text/html"))
		for _, w := range words {
			if strings.Contains(page, w) != wants {
				t.Errorf("%q is in the page: %v\n%s", w, !wants, plainWords(page))
			}
		}
	}
	shows(false, "<h2>Attempts</h2>")
	b.do(ledger.VerbRetry, id)
	shows(true, "<h2>Attempts</h2>", "no such meter", "/"+id+"/log?attempt=1&amp;rendered=true", "on node1, started")
	b.succeed(id, b.running(id), "[1]")
	shows(true, "<h2>Attempts</h2>", "no such meter", "/"+id+"/log?attempt=2", "Attempt</dt><dd>2")
}
