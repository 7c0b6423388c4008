package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// text reads a path of the node.
func (p *process) text(path string) string {
	p.t.Helper()
	answer, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %v\n%s", path, answer.Status, err, body)
	}
	return string(body)
}

func TestMetricsOfANodeAtWork(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")
	if r := p.final(p.submit("echo", `1`)); r.State != jobs.Succeeded {
		t.Fatalf("%+v", r)
	}
	text := p.text("/metrics")
	for _, want := range []string{
		`runnerbean_beanstalkd_up{server="` + server.Addr + `"} 1`,
		`runnerbean_slots 2`, `runnerbean_nodes{state="alive"} 1`, `runnerbean_jobs{state="succeeded"} 1`,
		`runnerbean_http_requests_total{code="2xx",method="POST",route="/api/v1/jobs"} 1`, `runnerbean_disk_floor_bytes{use="data"} 2.68435456e+08`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
