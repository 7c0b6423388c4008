package ledger

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestFailover kills a primary while jobs are accepted and ended, and promotes its synchronous
// standby. The ledger finds it by its URL of both hosts. Nothing that was answered is lost.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary, err := postgrestest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer primary.Stop()
	standby, err := primary.StartStandby(true)
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Stop()
	l, err := Open(t.Context(), Config{DSN: postgrestest.URLOf(primary, standby), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const before, after = 300, 300
	var accepted, failed atomic.Int64
	var mu sync.Mutex
	var ids []string
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for accepted.Load() < before+after && ctx.Err() == nil {
				e := entry(nil)
				for ctx.Err() == nil {
					if _, err := l.Accept(ctx, []Entry{e}); err == nil {
						break
					}
					failed.Add(1)
					retry.Sleep(ctx, 10*time.Millisecond)
				}
				mu.Lock()
				ids = append(ids, e.Job.ID)
				mu.Unlock()
				accepted.Add(1)
			}
		})
	}
	for accepted.Load() < before && ctx.Err() == nil {
		retry.Sleep(ctx, time.Millisecond)
	}
	primary.Crash()
	if err := standby.Promote(); err != nil {
		t.Error(err)
	}
	clients.Wait()
	if ctx.Err() != nil {
		t.Fatalf("only %d jobs are accepted, %d tries failed", accepted.Load(), failed.Load())
	}
	for _, id := range ids {
		if r, err := l.Get(t.Context(), id); err != nil || r.State != jobs.Queued {
			t.Errorf("a job that was accepted: %+v, %v", r.State, err)
		}
	}
	t.Logf("%d jobs, %d tries failed", len(ids), failed.Load())
}
