package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
)

// complainEvery is how often a collector that does not answer is logged.
const complainEvery = time.Minute

// quiet is an exporter whose errors are logged once in a while; otherwise the
// library would print each.
type quiet struct {
	trace.SpanExporter
	log *slog.Logger

	mu      sync.Mutex
	said    time.Time
	dropped int // since then
}

// ExportSpans implements trace.SpanExporter.
func (q *quiet) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	if err := q.SpanExporter.ExportSpans(ctx, spans); err != nil {
		q.complain(len(spans), err)
	}
	return nil
}

func (q *quiet) complain(spans int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped += spans
	if time.Since(q.said) < complainEvery {
		return
	}
	q.log.Warn("spans could not be sent and are dropped", "spans", q.dropped, "err", err)
	q.said, q.dropped = time.Now(), 0
}
