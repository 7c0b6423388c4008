package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/retry"
)

// BenchmarkOldSnapshot runs LEDGER_BENCH_JOBS jobs (20,000) through a ledger in PostgreSQL in 8
// slots, while a node reads what it reads every second, with and without another session that holds a
// snapshot from before the first job: PostgreSQL then removes no version of any row. It
// reports the rate of the first and of the last tenth of the jobs.
func BenchmarkOldSnapshot(b *testing.B) {
	if os.Getenv(postgresEnv) == "" {
		return // a file keeps no versions of rows
	}
	total, _ := strconv.Atoi(cmp.Or(os.Getenv("LEDGER_BENCH_JOBS"), "20000"))
	for _, name := range []string{"none", "held"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l, url := snapshotLedger(b)
				if name == "held" {
					defer holdSnapshot(b, url)()
				}
				first, last := loadTenths(b, l, total)
				b.ReportMetric(first, "first-jobs/s")
				b.ReportMetric(last, "last-jobs/s")
			}
		})
	}
}

func snapshotLedger(b *testing.B) (l *Ledger, url string) {
	b.Helper()
	url, err := server.NewSchema()
	if err != nil {
		b.Fatal(err)
	}
	if l, err = Open(b.Context(), Config{DSN: url}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	if err := l.Nodes.Register(b.Context(), nodes.Node{Name: "n", Instance: "i"}); err != nil {
		b.Fatal(err)
	}
	return l, url
}

// holdSnapshot begins a transaction that sees the ledger as it is now, until release.
func holdSnapshot(b *testing.B, url string) (release func()) {
	b.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		b.Fatal(err)
	}
	tx, err := db.BeginTx(b.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	var n int
	if err := tx.QueryRow("SELECT COUNT(*) FROM jobs").Scan(&n); err != nil {
		b.Fatal(err)
	}
	return func() { _ = tx.Rollback(); _ = db.Close() }
}

// loadTenths runs jobs and returns the rates of the first and of the last tenth.
func loadTenths(b *testing.B, l *Ledger, total int) (first, last float64) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var reader sync.WaitGroup
	reader.Go(func() { readLikeANode(ctx, b, l) })
	defer reader.Wait()
	defer cancel()
	for tenth := range 10 {
		began := time.Now()
		feed := make(chan string, 64)
		var slots sync.WaitGroup
		for range 8 {
			slots.Go(func() { benchSlot(b, l, feed) })
		}
		for range total / 10 / 16 {
			benchFeed(b.Context(), b, l, feed)
		}
		close(feed)
		slots.Wait()
		rate := float64(total/10) / time.Since(began).Seconds()
		b.Logf("tenth %d: %.0f jobs/s", tenth+1, rate)
		if tenth == 0 {
			first = rate
		}
		last = rate
	}
	return first, last
}

// readLikeANode reads until ctx ends what a node and its pages read all the time.
func readLikeANode(ctx context.Context, b *testing.B, l *Ledger) {
	var pace retry.Pace // as a node has it
	for retry.Sleep(ctx, time.Second) {
		began := time.Now()
		if !pace.Ready(began) {
			continue
		}
		_, err := l.Queues.Heads(ctx, "")
		for _, read := range []func() error{
			func() error { return err },
			func() error { _, err := l.Queues.NextDue(ctx, "", time.Now()); return err },
			func() error { _, err := l.Backlog(ctx); return err },
			func() error { _, err := l.Activity.Counts(ctx); return err },
			func() error { _, err := l.Nodes.List(ctx); return err },
			func() error { return l.Nodes.Beat(ctx, "i", nil, 1, nil) },
			func() error { return l.Rollup(ctx) },
		} {
			if err := read(); err != nil && ctx.Err() == nil {
				b.Error(engine.Wrap("read", err))
			}
		}
		pace.Took(time.Now(), time.Since(began))
	}
}
