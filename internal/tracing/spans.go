package tracing

import (
	"context"
	"crypto/rand"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	api "go.opentelemetry.io/otel/trace"

	"github.com/runnerbean/runnerbean/internal/report"
)

// Ended sends the spans of one attempt: the job, and under it what came one after
// the other, queued, fetch, run and publish. It does not wait.
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

// step sends one that was come to.
func (t *Tracer) step(ctx context.Context, name string, began time.Time, took time.Duration) {
	if took <= 0 {
		return
	}
	_, span := t.tracer.Start(ctx, name, api.WithTimestamp(began))
	span.End(api.WithTimestamp(began.Add(took)))
}

// spanID is the key of a span's id in a context.
type spanID struct{}

// withSpanID has the next span be the one that the program was told of, so that
// its own spans are under it.
func withSpanID(ctx context.Context, text string) context.Context {
	id, err := api.SpanIDFromHex(text)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, spanID{}, id)
}

// ids makes ids of traces and spans.
type ids struct{}

// NewIDs implements trace.IDGenerator.
func (ids) NewIDs(ctx context.Context) (t api.TraceID, s api.SpanID) {
	for !t.IsValid() {
		_, _ = rand.Read(t[:]) // it never fails
	}
	return t, ids{}.NewSpanID(ctx, t)
}

// NewSpanID implements trace.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ api.TraceID) (s api.SpanID) {
	if id, ok := ctx.Value(spanID{}).(api.SpanID); ok {
		return id
	}
	for !s.IsValid() {
		_, _ = rand.Read(s[:])
	}
	return s
}
