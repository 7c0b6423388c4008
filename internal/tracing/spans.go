package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	api "go.opentelemetry.io/otel/trace"

	"github.com/runnerbean/runnerbean/internal/report"
)

// Ended sends the spans of one attempt: a span of the job, with the child spans queued,
// fetch, run and publish. It does not wait for the collector.
func (t *Tracer) Ended(e report.Attempt) {
	if t == nil {
		return
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": e.Traceparent})
	began := e.Start
	if !e.Queued.IsZero() && e.Queued.Before(began) {
		began = e.Queued
	}
	ctx, job := t.tracer.Start(ctx, "job "+e.Program, api.WithTimestamp(began), api.WithSpanKind(api.SpanKindConsumer),
		api.WithAttributes(attributes(e)...))
	if !job.IsRecording() {
		return
	}
	t.step(ctx, "queued", began, e.Start.Sub(began))
	t.step(ctx, "fetch", e.Start, e.Fetch)
	t.step(withSpanID(ctx, e.SpanID), "run", e.Start.Add(e.Fetch), e.Run)
	t.step(ctx, "publish", e.Start.Add(e.Fetch+e.Run), e.Publish)
	if e.Outcome != "succeeded" {
		job.SetStatus(codes.Error, string(e.Outcome))
	}
	job.End(api.WithTimestamp(e.End))
}

func attributes(e report.Attempt) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("runnerbean.job.id", e.Job),
		attribute.String("runnerbean.program", e.Program),
		attribute.Int("runnerbean.attempt", e.Attempt),
		attribute.String("runnerbean.outcome", string(e.Outcome)),
		attribute.String("runnerbean.state", string(e.State)),
		attribute.Float64("runnerbean.cpu_seconds", e.CPU.Seconds()),
		attribute.Int64("runnerbean.max_rss_bytes", e.MaxRSS),
	}
}

// step sends the span of a step. A step that did not happen has no span.
func (t *Tracer) step(ctx context.Context, name string, began time.Time, took time.Duration) {
	if took <= 0 {
		return
	}
	_, span := t.tracer.Start(ctx, name, api.WithTimestamp(began))
	span.End(api.WithTimestamp(began.Add(took)))
}
