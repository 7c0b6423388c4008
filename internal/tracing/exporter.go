package tracing

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
)

// logEvery is the shortest time between two log lines about a failing collector.
const logEvery = time.Minute

// loggingExporter logs the errors of an exporter at most once per logEvery. The library
// would log each error.
type loggingExporter struct {
	trace.SpanExporter
	log     *slog.Logger
	givenUp atomic.Bool // what is left is dropped

	mu      sync.Mutex
	said    time.Time
	dropped int // spans that were dropped since said
}

// ExportSpans implements [trace.SpanExporter].
func (q *loggingExporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	if q.givenUp.Load() {
		return nil
	}
	if err := q.SpanExporter.ExportSpans(ctx, spans); err != nil {
		q.logError(len(spans), err)
	}
	return nil
}

func (q *loggingExporter) logError(spans int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dropped += spans
	if time.Since(q.said) < logEvery {
		return
	}
	q.log.Warn("spans could not be sent and are dropped", "spans", q.dropped, "err", err)
	q.said, q.dropped = time.Now(), 0
}
