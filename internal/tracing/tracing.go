// Package tracing sends spans of jobs to an OpenTelemetry collector, if the standard
// environment variables name one. The spans of a job belong to the trace of the request
// that submitted it. A node never waits for the collector: it drops spans that the
// collector does not accept in time.
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
	// maxQueue is the largest number of spans that wait for the collector, maxBatch the
	// largest number that one request sends.
	maxQueue = 8192
	maxBatch = 512
	// sendEvery is how long a span waits for others to share its request. sendLimit
	// bounds one request with its retries.
	sendEvery = 2 * time.Second
	sendLimit = 15 * time.Second
	// flushLimit bounds the time to send the last spans when the node stops.
	flushLimit = 5 * time.Second
)

// Config configures a Tracer.
type Config struct {
	// Node, Instance and Version are attributes of every span.
	Node, Instance, Version string
	// Logger logs spans that could not be sent. Default slog.Default().
	Logger *slog.Logger
}

// Tracer sends spans. A nil Tracer does nothing.
type Tracer struct {
	provider *trace.TracerProvider
	exporter *loggingExporter
	tracer   api.Tracer
	log      *slog.Logger
}

// FromEnvironment returns a Tracer configured by OTEL_EXPORTER_OTLP_ENDPOINT and the
// related variables, or nil if they name no collector. The caller closes it.
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
	logging := &loggingExporter{SpanExporter: exporter, log: cfg.Logger}
	provider := trace.NewTracerProvider(
		trace.WithBatcher(logging,
			trace.WithMaxQueueSize(maxQueue), trace.WithMaxExportBatchSize(maxBatch),
			trace.WithBatchTimeout(sendEvery), trace.WithExportTimeout(sendLimit)),
		trace.WithResource(about),
		trace.WithIDGenerator(ids{}),
	)
	return &Tracer{provider: provider, exporter: logging, tracer: provider.Tracer("github.com/runnerbean/runnerbean"), log: cfg.Logger}, nil
}

// wanted reports whether the environment asks for traces, by the rules of the
// OpenTelemetry specification.
func wanted() bool {
	return first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") != "" &&
		os.Getenv("OTEL_SDK_DISABLED") != "true" && os.Getenv("OTEL_TRACES_EXPORTER") != "none"
}

// first returns the value of the first variable that is set.
func first(names ...string) string {
	var values []string
	for _, name := range names {
		values = append(values, os.Getenv(name))
	}
	return cmp.Or(values...)
}

// about returns the attributes of every span. OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES override them.
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

// Close sends the last spans. It takes at most 5 s.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("the last spans could not be sent", "err", err)
		t.exporter.givenUp.Store(true)
		return t.exporter.Shutdown(context.Background()) // ends the request under way
	}
	return nil
}
