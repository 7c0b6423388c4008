package queue

import (
	"context"
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newProducer(tb testing.TB, cfg Config) *Producer {
	tb.Helper()
	p, err := NewProducer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

func newConsumer(tb testing.TB, cfg Config) *Consumer {
	tb.Helper()
	c, err := NewConsumer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// pair starts a server with a producer and a consumer.
func pair(tb testing.TB, args ...string) (*queuetest.Server, *Producer, *Consumer) {
	tb.Helper()
	s := queuetest.Start(tb, args...)
	cfg := Config{Addrs: []string{s.Addr}}
	return s, newProducer(tb, cfg), newConsumer(tb, cfg)
}

// records is a log that a test can look at.
type records struct {
	got  chan slog.Record
	with []slog.Attr
}

func (r records) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (r records) WithAttrs(with []slog.Attr) slog.Handler      { return records{r.got, with} }
func (r records) WithGroup(string) slog.Handler                { return r }

func (r records) Handle(_ context.Context, rec slog.Record) error {
	rec.AddAttrs(r.with...)
	r.got <- rec
	return nil
}

func must[T any](tb testing.TB) func(T, error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
