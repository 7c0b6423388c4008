package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestMetricsOfANodeAtWork(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_LEDGER_RESULTS=0") // the store is used
	p.start("worker")
	if r := p.final(p.submit("echo", `1`)); r.State != jobs.Succeeded {
		t.Fatalf("%+v", r)
	}
	if r := p.final(p.submit("refuses", `1`)); r.State != jobs.Failed {
		t.Fatalf("%+v", r)
	}
	running := p.submit("hangs", `1`)
	p.until("it runs", func() bool { r, _ := p.get(running); return r.State == jobs.Running })
	var text string
	p.until("both are counted", func() bool {
		text = p.text("/metrics")
		return strings.Count(text, "\nrunnerbean_jobs_ended_total{") == 2
	})
	for _, want := range []string{
		`runnerbean_beanstalkd_up{server="` + server.Addr + `"} 1`,
		`runnerbean_queue_jobs{program="hangs",state="running"} 1`, `runnerbean_slots_busy 1`, `runnerbean_queue_oldest_seconds{program="hangs"} 0`,
		`runnerbean_node_heartbeat_age_seconds{node="n1"}`, `runnerbean_slots 2`, `runnerbean_nodes{state="up"} 1`, `runnerbean_jobs_ended_total{class="succeeded",program="echo",state="succeeded"} 1`,
		`runnerbean_attempts_total{outcome="failed",program="refuses"} 1`, `runnerbean_run_duration_seconds_count{program="echo"} 1`,
		`runnerbean_ledger_errors_total{op="finish"} 0`, `runnerbean_store_errors_total{op="create"} 0`,
		`runnerbean_http_requests_total{code="2xx",method="POST",route="/api/v1/jobs"} 3`, `runnerbean_disk_floor_bytes{use="data, `,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// TestFastResultsSetting: a node without fast results counts each request for a result.
func TestFastResultsSetting(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_FAST_RESULTS=false")
	p.start("worker")
	url := p.submit("echo", `1`)
	if r := p.final(url); r.State != jobs.Succeeded {
		t.Fatalf("%+v", r)
	}
	for range 3 {
		p.get(url)
	}
	if text := p.text("/metrics"); !strings.Contains(text, "\nrunnerbean_http_memory_results_total 0\n") {
		t.Error(text)
	}
}

// TestSpansOfANodeAtWork checks that the run is in the trace of the submitter, that the
// program gets the id of its span, and that it gets neither the address of the collector
// nor its key.
func TestSpansOfANodeAtWork(t *testing.T) {
	t.Parallel()
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	got := make(chan *collector.ExportTraceServiceRequest, 10)
	otlp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		request := &collector.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(body, request)
		}
		if err != nil {
			t.Error(err)
		}
		got <- request
	}))
	t.Cleanup(otlp.Close)
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+otlp.URL, "OTEL_EXPORTER_OTLP_HEADERS=x-key=geheim",
		"RUNNERBEAN_TOKEN=geheimnis-geheimnis", "RUNNERBEAN_WEBHOOK=http://127.0.0.1:1/?key=geheim", "RUNNERBEAN_LOG=json")
	p.install("environment", `printf '"%s"' "$(env | tr -d '"\\\\' | tr '\n' ' ')"`)
	p.start("worker")
	request, err := http.NewRequest(http.MethodPost, p.url+"/api/v1/jobs", strings.NewReader(`{"program":"environment","input":{"data":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer geheimnis-geheimnis")
	request.Header.Set("traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	result := p.final(answer.Header.Get("Location"))
	told := regexp.MustCompile(`TRACEPARENT=00-` + trace + `-([0-9a-f]{16})-01`).FindStringSubmatch(string(result.Result))
	if told == nil || strings.Contains(string(result.Result), "OTEL") || strings.Contains(string(result.Result), "geheim") {
		t.Fatalf("the program sees %s", result.Result)
	}
	select {
	case request := <-got:
		for _, span := range request.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans() {
			if hex.EncodeToString(span.GetTraceId()) != trace {
				t.Errorf("%v is in another trace", span)
			}
			if span.GetName() == "run" && hex.EncodeToString(span.GetSpanId()) != told[1] {
				t.Errorf("the run is %x, and the program was told %s", span.GetSpanId(), told[1])
			}
		}
	case <-time.After(patience):
		t.Fatalf("no spans\n%s", p.log)
	}
	p.until("the webhook is tried", func() bool {
		return strings.Contains(p.textAs("geheimnis-geheimnis", "/metrics"), `runnerbean_webhooks_total{outcome="failed"} 1`)
	})
	if answer, err := http.Get(p.url + "/metrics"); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %v %v", answer, err)
	} else {
		answer.Body.Close()
	}
	p.end(syscall.SIGTERM)
	if log := p.log.String(); strings.Contains(log, "geheim") || !strings.Contains(log, `"job":"`+result.ID) {
		t.Errorf("the log has a secret, or not the job:\n%s", log)
	}
}
