package tracing

import (
	"context"
	"crypto/rand"

	api "go.opentelemetry.io/otel/trace"
)

// spanID is the context key of a span id.
type spanID struct{}

// withSpanID makes the next span use the id that the program received in its
// environment. The program's own spans are then children of that span.
func withSpanID(ctx context.Context, text string) context.Context {
	id, err := api.SpanIDFromHex(text)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, spanID{}, id)
}

// ids generates the ids of traces and spans.
type ids struct{}

// NewIDs implements [trace.IDGenerator].
func (ids) NewIDs(ctx context.Context) (t api.TraceID, s api.SpanID) {
	for !t.IsValid() {
		_, _ = rand.Read(t[:]) // rand.Read never returns an error
	}
	return t, ids{}.NewSpanID(ctx, t)
}

// NewSpanID implements [trace.IDGenerator].
func (ids) NewSpanID(ctx context.Context, _ api.TraceID) (s api.SpanID) {
	if id, ok := ctx.Value(spanID{}).(api.SpanID); ok {
		return id
	}
	for !s.IsValid() {
		_, _ = rand.Read(s[:])
	}
	return s
}
