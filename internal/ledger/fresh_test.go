package ledger

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestManyListsOnAFreshLedger runs lists that hold a connection while they need
// statements that are not prepared.
func TestManyListsOnAFreshLedger(t *testing.T) {
	for range 5 {
		l, err := Open(t.Context(), Config{DSN: "sqlite:" + t.TempDir() + "/ledger.db"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				f := []listing.Filter{{}, {State: jobs.Failed}, {Node: "a"}, {Label: "a=b"}, {Program: "p"}, {State: jobs.Queued}, {Text: "x"}}[i%7]
				if _, err := l.List(ctx, f); err != nil {
					t.Error(err)
				}
				if _, err := l.Nodes.Controls(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		cancel()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
