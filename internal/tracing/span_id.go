package tracing

import (
	"context"
	"crypto/rand"

	api "go.opentelemetry.io/otel/trace"
)

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
