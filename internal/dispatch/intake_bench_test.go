package dispatch

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// BenchmarkIntake measures how many jobs a node accepts from a full inbox, with one or
// many documents in a message.
func BenchmarkIntake(b *testing.B) {
	for _, size := range []int{1, 100, 256} {
		b.Run(fmt.Sprintf("%d in a message", size), func(b *testing.B) {
			const waiting = 20_000
			n := 0
			for b.Loop() {
				b.StopTimer()
				accept := fullInbox(b, waiting, size)
				b.StartTimer()
				accept()
				n += waiting
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// fullInbox puts n documents on a new inbox, size in a message. The function that it
// returns runs a dispatcher until the ledger has them all.
func fullInbox(b *testing.B, n, size int) (accept func()) {
	server := queuetest.Start(b)
	l, err := ledger.Open(b.Context(), ledger.Config{DSN: "sqlite:" + filepath.Join(b.TempDir(), "ledger.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	announce(b, l, "cat")
	d, err := New(Config{
		Queue: queue.Config{Addrs: []string{server.Addr}}, Node: "n1", Ledger: l, Interval: -1,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	var messages []queue.Message
	for range n / size {
		list := make([]string, size)
		for i := range list {
			list[i] = document(jobs.NewID(), "cat")
		}
		body := strings.Join(list, ",")
		if size > 1 {
			body = "[" + body + "]"
		}
		messages = append(messages, queue.Message{Tube: "runnerbean/inbox", Body: []byte(body), Priority: 1024})
	}
	if _, err := d.producer.PutAll(b.Context(), messages); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var accepted atomic.Int64
	b.Cleanup(l.OnChange(func(ids []string) {
		if accepted.Add(int64(len(ids))) >= int64(n/size*size) {
			cancel()
		}
	}))
	return func() {
		if err := d.Run(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
