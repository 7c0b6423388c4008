package ledger

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// benchLedger opens a new ledger.
func benchLedger(b *testing.B) *Ledger {
	l, err := Open(b.Context(), Config{DSN: newDSN(b, filepath.Join(b.TempDir(), "l.db"))})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	if err := l.Nodes.Register(b.Context(), nodes.Node{Name: "n", Instance: "i"}); err != nil {
		b.Fatal(err)
	}
	return l
}

// benchEntries makes n documents of about 300 bytes.
func benchEntries(n int) []Entry {
	list := make([]Entry, n)
	for i := range list {
		id := jobs.NewID()
		list[i].Job = jobs.Job{ID: id, Program: fmt.Sprintf("program%d", i%3), Created: time.Now()}
		list[i].Document = fmt.Appendf(nil, `{"id":%q,"program":"program%d","input":{"url":"https://grid.example/meters/42.json"},`+
			`"result":{"url":"https://results.example/%s"},"created":"2026-11-22T06:16:00Z","priority":1024}`, id, i%3, id)
	}
	return list
}

// cpu returns the processor time of this process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, jobs int, from time.Duration) {
	b.ReportMetric(float64(cpu()-from)/1e3/float64(jobs), "cpu-µs/job")
}

func BenchmarkAccept(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			l, n := benchLedger(b), 0
			from := cpu()
			for b.Loop() {
				if _, err := l.Accept(b.Context(), benchEntries(size)); err != nil {
					b.Fatal(err)
				}
				n += size
			}
			reportCPU(b, n, from)
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// BenchmarkLife accepts jobs in batches of 16, marks them as sent, and claims and
// finishes them in slots.
func BenchmarkLife(b *testing.B) {
	for _, slots := range []int{1, 4, 8} {
		b.Run(fmt.Sprintf("%dslots", slots), func(b *testing.B) {
			l := benchLedger(b)
			ctx := context.Background()
			from := cpu()
			feed := make(chan string, 64)
			var wg sync.WaitGroup
			for range slots {
				wg.Go(func() { benchSlot(b, l, feed) })
			}
			n := 0
			for b.Loop() {
				if n%16 == 0 {
					benchFeed(ctx, b, l, feed)
				}
				n++
			}
			close(feed)
			wg.Wait()
			reportCPU(b, n, from)
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

func benchFeed(ctx context.Context, b *testing.B, l *Ledger, feed chan<- string) {
	list := benchEntries(16)
	sent := make([]Sent, len(list))
	if _, err := l.Accept(ctx, list); err != nil {
		b.Fatal(err)
	}
	for i := range list {
		sent[i] = Sent{ID: list[i].Job.ID, Server: "0123456789abcdef", Message: uint64(i)}
	}
	if err := l.MarkSent(ctx, sent); err != nil {
		b.Fatal(err)
	}
	for i := range list {
		feed <- list[i].Job.ID
	}
}

func benchSlot(b *testing.B, l *Ledger, feed <-chan string) {
	for id := range feed {
		c, err := l.Claim(context.Background(), id, Owner{Instance: "i", Node: "n"}, "0123456789abcdef")
		if err != nil || !c.OK {
			b.Error(c, err)
			continue
		}
		_, err = l.Finish(context.Background(), id, c.Record.Attempt, Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded})
		if err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkRun claims and finishes jobs that were accepted before.
func BenchmarkRun(b *testing.B) {
	for _, slots := range []int{1, 4, 8} {
		b.Run(fmt.Sprintf("%dslots", slots), func(b *testing.B) {
			l := benchLedger(b)
			ids := make([]string, 0, b.N)
			for len(ids) < b.N {
				list := benchEntries(500)
				if _, err := l.Accept(b.Context(), list); err != nil {
					b.Fatal(err)
				}
				for i := range list {
					ids = append(ids, list[i].Job.ID)
				}
			}
			feed := make(chan string, b.N)
			for _, id := range ids[:b.N] {
				feed <- id
			}
			close(feed)
			b.ResetTimer()
			from := cpu()
			var wg sync.WaitGroup
			for range slots {
				wg.Go(func() { benchSlot(b, l, feed) })
			}
			wg.Wait()
			reportCPU(b, b.N, from)
		})
	}
}

func BenchmarkGet(b *testing.B) {
	l := benchLedger(b)
	list := benchEntries(1000)
	if _, err := l.Accept(b.Context(), list); err != nil {
		b.Fatal(err)
	}
	var i atomic.Int64
	for b.Loop() {
		if _, err := l.Get(b.Context(), list[int(i.Add(1))%len(list)].Job.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	l := benchLedger(b)
	for range 100 {
		if _, err := l.Accept(b.Context(), benchEntries(1000)); err != nil {
			b.Fatal(err)
		}
	}
	for name, f := range map[string]listing.Filter{"all": {}, "state": {State: jobs.Queued}, "program": {Program: "program1"}, "none": {State: jobs.Failed}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.List(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
