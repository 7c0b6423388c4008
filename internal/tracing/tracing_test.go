package tracing

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/runnerbean/runnerbean/internal/report"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent  = "00f067aa0ba902b7"
	runID   = "1111111122222222"
)

// collect starts a collector that records the requests it receives, and sets the
// environment of t to its address.
func collect(t *testing.T) <-chan *collector.ExportTraceServiceRequest {
	t.Helper()
	got := make(chan *collector.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := &collector.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(body, request)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Key") != "geheim" {
			t.Errorf("%s %v: %v", r.URL.Path, r.Header, err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		got <- request
	}))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=geheim")
	return got
}

func newTracer(t *testing.T, log io.Writer) *Tracer {
	t.Helper()
	tracer, err := FromEnvironment(t.Context(), Config{Node: "n1", Instance: "i1", Version: "v1", Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

// succeeded returns an attempt with all fields set.
func succeeded() report.Attempt {
	start := time.Unix(1_795_500_000, 0)
	return report.Attempt{
		Job: jobs.NewID(), Program: "forecast", Attempt: 2, Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded,
		Queued: start.Add(-time.Minute), Start: start, End: start.Add(13 * time.Second),
		Fetch: time.Second, Run: 10 * time.Second, Publish: 2 * time.Second,
		Traceparent: "00-" + traceID + "-" + parent + "-01", SpanID: runID,
	}
}

// spans returns the spans of a request by name.
func spans(r *collector.ExportTraceServiceRequest) map[string]*wire.Span {
	list := map[string]*wire.Span{}
	for _, resource := range r.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				list[s.GetName()] = s
			}
		}
	}
	return list
}

func TestSpansOfAJob(t *testing.T) {
	got := collect(t)
	tracer := newTracer(t, io.Discard)
	e := succeeded()
	tracer.Ended(e)
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	request := <-got
	list := spans(request)
	job := list["job forecast"]
	if len(list) != 5 || job == nil {
		t.Fatalf("got %v", request)
	}
	if hex.EncodeToString(job.GetTraceId()) != traceID || hex.EncodeToString(job.GetParentSpanId()) != parent {
		t.Errorf("the job is not in the trace of its request: %v", job)
	}
	at := e.Queued
	for _, step := range []struct {
		name string
		took time.Duration
	}{{"queued", time.Minute}, {"fetch", e.Fetch}, {"run", e.Run}, {"publish", e.Publish}} {
		s := list[step.name]
		if !bytes.Equal(s.GetParentSpanId(), job.GetSpanId()) || !bytes.Equal(s.GetTraceId(), job.GetTraceId()) {
			t.Errorf("%s is not under the job: %v", step.name, s)
		}
		end := at.Add(step.took)
		if s.GetStartTimeUnixNano() != uint64(at.UnixNano()) || s.GetEndTimeUnixNano() != uint64(end.UnixNano()) {
			t.Errorf("%s is from %d to %d", step.name, s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
		}
		at = end
	}
	if id := hex.EncodeToString(list["run"].GetSpanId()); id != runID {
		t.Errorf("the run is %s, and the program was told %s", id, runID)
	}
	text := request.String()
	for _, want := range []string{e.Job, `"runnerbean.attempt"`, `"service.name"`, `"runnerbean"`, `"n1"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestAttemptThatFailedEarly(t *testing.T) {
	got := collect(t)
	tracer := newTracer(t, io.Discard)
	start := time.Now()
	tracer.Ended(report.Attempt{Program: "p", Outcome: jobs.OutcomeInput, State: jobs.Failed, Start: start, End: start.Add(time.Second), Fetch: time.Second})
	tracer.Close()
	list := spans(<-got)
	job := list["job p"]
	if len(list) != 2 || list["fetch"] == nil || job.GetStatus().GetCode() != wire.Status_STATUS_CODE_ERROR || job.GetStatus().GetMessage() != "input" {
		t.Errorf("got %v", list)
	}
	if len(job.GetParentSpanId()) != 0 || len(job.GetTraceId()) != 16 {
		t.Errorf("a job without a trace has no new one: %v", job)
	}
}

func TestUnsampledIsLeftOut(t *testing.T) {
	got := collect(t)
	tracer := newTracer(t, io.Discard)
	e := succeeded()
	e.Traceparent = strings.TrimSuffix(e.Traceparent, "1") + "0"
	tracer.Ended(e)
	tracer.Close()
	if len(got) != 0 {
		t.Errorf("got %v", <-got)
	}
}

func TestNoneWithoutACollector(t *testing.T) {
	for name, env := range map[string][2]string{
		"nothing": {"X", "x"}, "disabled": {"OTEL_SDK_DISABLED", "true"}, "no exporter": {"OTEL_TRACES_EXPORTER", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(env[0], env[1])
			if name != "nothing" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			}
			tracer := newTracer(t, io.Discard)
			if tracer != nil {
				t.Error("there is a tracer")
			}
			tracer.Ended(succeeded())
			if err := tracer.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOtherProtocolsAreRefused(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if _, err := FromEnvironment(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "http/protobuf") {
		t.Errorf("got %v", err)
	}
}

// TestCollectorThatHangs checks that a collector that does not answer delays no
// attempt, delays the stop only for a bounded time, and does not fill the memory.
func TestCollectorThatHangs(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL)
	var log lockedBuffer
	tracer := newTracer(t, &log)
	start := time.Now()
	for range maxQueue {
		tracer.Ended(succeeded())
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("%d attempts took %s", maxQueue, took)
	}
	start = time.Now()
	tracer.Close()
	if took := time.Since(start); took > flushLimit+3*time.Second {
		t.Errorf("the end took %s", took)
	}
	if !strings.Contains(log.String(), "could not be sent") {
		t.Errorf("the log says %q", &log)
	}
}

func TestComplaintsAreFew(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	q := &loggingExporter{log: slog.New(slog.NewTextHandler(&log, nil)), SpanExporter: broken{}}
	for range 100 {
		if err := q.ExportSpans(t.Context(), make([]trace.ReadOnlySpan, 3)); err != nil {
			t.Error(err)
		}
	}
	q.said = time.Now().Add(-logEvery)
	_ = q.ExportSpans(t.Context(), make([]trace.ReadOnlySpan, 3))
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "spans=300") {
		t.Errorf("the log says %s", &log)
	}
}

type broken struct{ trace.SpanExporter }

func (broken) ExportSpans(context.Context, []trace.ReadOnlySpan) error { return io.ErrClosedPipe }

// lockedBuffer is a buffer that several goroutines may use.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
