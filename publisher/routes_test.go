package publisher

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// TestRoutes sends good and bad requests to every path.
func TestRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(1)
	png := jobs.Artifact{Name: "plot.png", Size: 3, SHA256: strings.Repeat("a", 64)}
	done, _ := b.succeeded("[1]", png)
	if err := b.store.Create(t.Context(), store.FileKey(done, 1, png.Name), []byte("PNG")); err != nil {
		t.Fatal(err)
	}
	failed, queued, nobody := b.failed(), b.queued(""), jobs.NewID()
	upper := strings.ToUpper(done)
	for _, test := range []struct {
		method, path string
		status       int
		contentType  string
	}{
		{"GET", "/", 200, typeHTML},
		{"GET", "/?range=7d&by=program", 200, typeHTML},
		{"GET", "/?range=2h", 400, httpio.TypeProblem},
		{"GET", "/jobs?state=failed", 200, typeHTML},
		{"GET", "/?by=x", 400, httpio.TypeProblem},
		{"GET", "/" + done, 200, httpio.TypeJSON},
		{"GET", "/" + failed, 200, httpio.TypeJSON},
		{"GET", "/" + queued, 202, httpio.TypeJSON},
		{"HEAD", "/" + queued, 202, httpio.TypeJSON},
		{"HEAD", "/results/" + failed, 200, httpio.TypeJSON},
		{"GET", "/" + nobody, 404, httpio.TypeProblem},
		{"GET", "/" + upper, 308, ""},
		{"GET", "/results/" + nobody, 404, httpio.TypeProblem},
		{"GET", "/results", 404, httpio.TypeProblem},
		{"GET", "/results/x", 404, httpio.TypeProblem},
		{"GET", "/x", 404, httpio.TypeProblem},
		{"GET", "/x/y/z", 404, httpio.TypeProblem},
		{"GET", "/%2e%2e/x", 404, httpio.TypeProblem},
		{"GET", "/" + done + "/", 308, ""},
		{"GET", "/" + done + "?format=xml", 400, httpio.TypeProblem},
		{"POST", "/" + done, 405, httpio.TypeProblem},
		{"DELETE", "/" + done, 405, httpio.TypeProblem},
		{"GET", "/" + done + "/events", 200, "text/event-stream; charset=utf-8"},
		{"HEAD", "/" + queued + "/events", 200, "text/event-stream; charset=utf-8"},
		{"GET", "/x/events", 404, httpio.TypeProblem},
		{"GET", "/0190163d-8694-739b-aea5-966c26f8ad91/events", 404, httpio.TypeProblem},
		{"GET", "/" + done + "/log", 200, "text/plain; charset=utf-8"},
		{"GET", "/" + queued + "/log", 200, "text/plain; charset=utf-8"},
		{"GET", "/" + queued + "/log?attempt=1", 404, httpio.TypeProblem},
		{"GET", "/" + done + "/log?attempt=0", 400, httpio.TypeProblem},
		{"GET", "/" + done + "/log?tail=x", 400, httpio.TypeProblem},
		{"GET", "/" + done + "/log?lines=1", 400, httpio.TypeProblem},
		{"GET", "/" + nobody + "/log", 404, httpio.TypeProblem},
		{"GET", "/x/log", 404, httpio.TypeProblem},
		{"GET", "/" + done + "/files/plot.png", 200, "image/png"},
		{"GET", "/results/" + done + "/files/plot.png", 200, "image/png"},
		{"GET", "/" + done + "/files/other.png", 404, httpio.TypeProblem},
		{"GET", "/" + done + "/files/..%2f..%2fplot.png", 404, httpio.TypeProblem},
		{"GET", "/" + done + "/files/", 404, httpio.TypeProblem},
		{"GET", "/" + failed + "/files/plot.png", 404, httpio.TypeProblem},
		{"GET", "/" + nobody + "/files/plot.png", 404, httpio.TypeProblem},
		{"GET", "/x/files/plot.png", 404, httpio.TypeProblem},
		{"GET", "/schema/job.json", 200, "application/schema+json"},
		{"GET", "/schema/batch.json", 200, "application/schema+json"},
		{"GET", "/schema/result.json", 200, "application/schema+json"},
		{"GET", "/schema/x.json", 404, httpio.TypeProblem},
		{"GET", "/runnerbean.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/runnerbean.d.ts", 200, "application/typescript; charset=utf-8"},
		{"GET", "/assets/dash.css", 200, "text/css; charset=utf-8"},
		{"GET", "/assets/live.js", 200, "text/javascript; charset=utf-8"},
		{"HEAD", "/assets/style.css", 200, "text/css; charset=utf-8"},
		{"GET", "/assets/../page.go", 404, httpio.TypeProblem},
		{"GET", "/assets/", 404, httpio.TypeProblem},
		{"GET", "/healthz", 200, "text/plain; charset=UTF-8"},
		{"GET", "/readyz", 200, "text/plain; charset=UTF-8"},
		{"GET", "/api/v1/jobs", 200, httpio.TypeJSON},
		{"GET", "/api/v1/jobs?limit=0", 400, httpio.TypeProblem},
		{"GET", "/api/v1/jobs?cursor=nonsense", 400, httpio.TypeProblem},
		{"PUT", "/api/v1/jobs", 405, httpio.TypeProblem},
		{"GET", "/api/v1/jobs/" + done, 200, httpio.TypeJSON},
		{"GET", "/api/v1/jobs/" + nobody, 404, httpio.TypeProblem},
		{"GET", "/api/v1/jobs/x", 404, httpio.TypeProblem},
		{"GET", "/api/v1/jobs/" + done + "/cancel", 405, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/" + done + "/cancel", 409, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/" + nobody + "/cancel", 404, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/x/cancel", 404, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/" + queued + "/cancel", 202, httpio.TypeJSON},
		{"GET", "/api/v1/jobs/cancel", 404, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/" + done + "/stop", 409, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/" + done + "/terminate", 409, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/" + done + "/retry", 409, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/" + done + "/reset", 409, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/" + failed + "/retry", 202, httpio.TypeJSON},
		{"POST", "/api/v1/jobs/" + done + "/explode", 404, httpio.TypeProblem},
		{"POST", "/api/v1/jobs/cancel", 415, httpio.TypeProblem},
		{"GET", "/api/v1/drain", 200, httpio.TypeJSON},
		{"HEAD", "/api/v1/drain", 200, httpio.TypeJSON},
		{"PUT", "/api/v1/drain", 405, httpio.TypeProblem},
		{"GET", "/api/v1/nodes", 200, httpio.TypeJSON},
		{"GET", "/api/v1/programs", 200, httpio.TypeJSON},
		{"GET", "/api/v1/", 404, httpio.TypeProblem},
		{"GET", "/api/v2/jobs", 404, httpio.TypeProblem},
	} {
		r := b.ask(test.method, test.path, "")
		body := bodyOf(t, r)
		if r.StatusCode != test.status || r.Header.Get("Content-Type") != test.contentType {
			t.Errorf("%s %s: %d %s, want %d %s: %.200s", test.method, test.path, r.StatusCode, r.Header.Get("Content-Type"), test.status, test.contentType, body)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || r.Header.Get("Referrer-Policy") == "" {
			t.Errorf("%s %s has the headers %v", test.method, test.path, r.Header)
		}
		if test.status == 405 && r.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow field", test.method, test.path)
		}
		if test.method == "HEAD" {
			continue
		}
		if test.contentType == httpio.TypeProblem && !strings.Contains(body, `"title":`) {
			t.Errorf("%s %s: no problem in %s", test.method, test.path, body)
		}
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) {
		c.Ready = func(context.Context) error { return errors.New("beanstalkd does not answer") }
	})
	r := b.get("/readyz")
	p := decodeAs[jobs.Problem](t, r)
	if r.StatusCode != http.StatusServiceUnavailable || p.Detail != "beanstalkd does not answer" || r.Header.Get("Retry-After") == "" {
		t.Errorf("%d %+v", r.StatusCode, p)
	}
	if r := b.get("/healthz"); r.StatusCode != 200 {
		t.Errorf("healthz: %d", r.StatusCode)
	}
}

func TestPanicIsAProblem(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Ready = func(context.Context) error { panic("boo") } })
	r := b.get("/readyz")
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 500 || strings.Contains(p.Detail, "boo") || p.Instance == "" {
		t.Errorf("%d %+v", r.StatusCode, p)
	}
	if line := b.logged.String(); strings.Count(line, "boo") != 1 || !strings.Contains(line, "routes_test.go") {
		t.Errorf("the log has %s", line)
	}
}

func TestStaticIsConditional(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.get("/schema/job.json", "Accept-Encoding: gzip")
	if r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%v", r.Header)
	}
	if r := b.get("/schema/job.json", "If-None-Match: "+r.Header.Get("ETag")); r.StatusCode != 304 {
		t.Errorf("with its tag: %d", r.StatusCode)
	}
}

func TestNewRefusesABadConfig(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, cfg := range map[string]Config{
		"nothing": {},
		"no base": {Ledger: b.ledger, Store: b.store},
		"origin":  {Ledger: b.ledger, Store: b.store, BaseURL: "http://x", CORS: []string{"www.example"}},
		"path":    {Ledger: b.ledger, Store: b.store, BaseURL: "http://x", CORS: []string{"https://www.example/"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
