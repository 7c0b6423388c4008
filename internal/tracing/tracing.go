// Package tracing sends spans of what became of jobs to an OpenTelemetry
// collector, where the standard environment variables name one. A job's spans
// belong to the trace of whoever asked for it. Nothing that a node does waits for
// the collector: what it does not take in time is dropped.
package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

const (
	// maxQueue is how many spans wait for the collector at most, maxBatch how many
	// are sent together.
	maxQueue = 8192
	maxBatch = 512
	// sendEvery is how long a span waits for others to go with it, sendLimit
	// bounds one sending, tries included.
	sendEvery = 2 * time.Second
	sendLimit = 15 * time.Second
	// flushLimit is what is left for the last spans when the node stops.
	flushLimit = 5 * time.Second
)

// Config of a Tracer.
type Config struct {
	// Node, Instance and Version are told with every span.
	Node, Instance, Version string
	// Logger. Default slog.Default().
	Logger *slog.Logger
}

// Tracer sends spans. A nil Tracer sends none.
type Tracer struct {
	provider *trace.TracerProvider
	tracer   api.Tracer
	log      *slog.Logger
}

// FromEnvironment makes a Tracer as OTEL_EXPORTER_OTLP_ENDPOINT and its kind
// say; nil where no collector is named. The caller closes it.
func FromEnvironment(ctx context.Context, cfg Config) (*Tracer, error) {
	if !wanted() {
		return nil, nil
	}
	if protocol := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %.32q: spans are sent as http/protobuf only, to port 4318 as a rule", protocol)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
		Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: sendLimit,
	}))
	if err != nil {
		return nil, fmt.Errorf("the collector of OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	about, err := about(ctx, cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err), exporter.Shutdown(ctx))
	}
	provider := trace.NewTracerProvider(
		trace.WithBatcher(&loggingExporter{SpanExporter: exporter, log: cfg.Logger},
			trace.WithMaxQueueSize(maxQueue), trace.WithMaxExportBatchSize(maxBatch),
			trace.WithBatchTimeout(sendEvery), trace.WithExportTimeout(sendLimit)),
		trace.WithResource(about),
		trace.WithIDGenerator(ids{}),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer("github.com/runnerbean/runnerbean"), log: cfg.Logger}, nil
}

// wanted: as OpenTelemetry's specification has it.
func wanted() bool {
	return first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") != "" &&
		os.Getenv("OTEL_SDK_DISABLED") != "true" && os.Getenv("OTEL_TRACES_EXPORTER") != "none"
}

// first is the first variable that is set.
func first(names ...string) string {
	var values []string
	for _, name := range names {
		values = append(values, os.Getenv(name))
	}
	return cmp.Or(values...)
}

// about is what every span has in common; OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES go before.
func about(ctx context.Context, cfg Config) (*resource.Resource, error) {
	return resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			attribute.String("service.name", "runnerbean"),
			attribute.String("service.version", cfg.Version),
			attribute.String("service.instance.id", cfg.Instance),
			attribute.String("host.name", cfg.Node),
		),
		resource.WithFromEnv(),
	)
}

// Close sends the last spans, for at most 5 s.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last spans could not be sent", "err", err)
	}
	return nil
}
