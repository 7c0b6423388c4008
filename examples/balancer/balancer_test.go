// Package balancer tests the example configurations with the programs that they are for.
package balancer

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/examples/balancer/balancertest"
	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// pool is a node that three names lead to, as if it were three nodes.
type pool struct {
	*jobstest.Node
	gate     string // the program waits for this file
	nodes    *httptest.Server
	requests atomic.Int64 // for results
}

func startPool(t *testing.T) *pool {
	p := &pool{gate: filepath.Join(t.TempDir(), "gate")}
	script := fmt.Sprintf("#!/bin/sh\ncat >/dev/null\necho '{\"progress\":0.25}' >&3\nuntil [ -e %q ]; do sleep 0.05; done\necho '{\"answer\":42}'\n", p.gate)
	p.Node = jobstest.Start(t, jobstest.Program{Name: "steps", Run: script})
	to, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	p.nodes = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) == len("/01a21d0b-dcd2-783a-860f-eba0d1c49f64") {
			p.requests.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(p.stopNodes)
	return p
}

func (p *pool) stopNodes() {
	p.nodes.CloseClientConnections()
	p.nodes.Close()
}

func (p *pool) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(p.gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (p *pool) enqueue(t *testing.T) jobs.Job {
	t.Helper()
	job, err := p.Client.Enqueue(t.Context(), jobs.Job{Program: "steps", Input: jobs.Input{Data: []byte(`1`)}})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// everyBalancer runs a test with a job and the URL of each balancer.
func everyBalancer(t *testing.T, test func(t *testing.T, p *pool, front string, job jobs.Job)) {
	for name, start := range balancertest.All {
		t.Run(name, func(t *testing.T) {
			p := startPool(t)
			test(t, p, start(t, balancertest.FreePort(t), p.nodes.Listener.Addr().String()), p.enqueue(t))
		})
	}
}

// TestVisitor follows a job in chromium through each balancer.
func TestVisitor(t *testing.T) {
	everyBalancer(t, func(t *testing.T, p *pool, front string, job jobs.Job) {
		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<!doctype html><link rel=icon href="data:,"><script type=module src="%s/runnerbean.js"></script><runnerbean-result src="%[1]s/%s"></runnerbean-result>`, front, job.ID)
		}))
		t.Cleanup(page.Close)
		tab := browsertest.NewTab(t, browsertest.Start(t), "404")
		tab.Do(chromedp.Navigate(page.URL))
		tab.Until(`document.querySelector('runnerbean-result').shadowRoot?.textContent.includes('25 %')`)
		p.open(t)
		tab.Until(`document.querySelector('runnerbean-result').shadowRoot.textContent.includes('Succeeded')`)
		tab.CheckComplaints()
	})
}

// TestStream reads an event stream through each balancer. What happens must come while it
// happens.
func TestStream(t *testing.T) {
	everyBalancer(t, func(t *testing.T, p *pool, front string, job jobs.Job) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for status := 0; status != http.StatusAccepted; {
			status, _, _ = balancertest.Get(ctx, front+"/"+job.ID)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, front+"/"+job.ID+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		progress, ended := false, false
		for lines := bufio.NewScanner(resp.Body); !ended && lines.Scan(); {
			if !progress && strings.Contains(lines.Text(), `"progress":0.25`) {
				progress = true
				p.open(t)
			}
			ended = strings.Contains(lines.Text(), `"succeeded"`)
		}
		if !progress || !ended {
			t.Errorf("progress %v, end %v", progress, ended)
		}
	})
}

// TestNeverStale asks for a result all the time. As soon as the node has it, the balancer must.
func TestNeverStale(t *testing.T) {
	everyBalancer(t, func(t *testing.T, p *pool, front string, job jobs.Job) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for n := 0; ; n++ {
			_, node, err := balancertest.Get(ctx, p.URL+"/"+job.ID)
			if err != nil {
				t.Fatal(err)
			}
			_, there, err := balancertest.Get(ctx, front+"/"+job.ID)
			if err != nil {
				t.Fatal(err)
			}
			if final := strings.Contains(node, `"succeeded"`); final {
				if !strings.Contains(there, `"answer":42`) {
					t.Errorf("the node has the result, and the balancer answers %s", there)
				}
				break
			}
			if n == 50 {
				p.open(t)
			}
		}
	})
}

// TestVarnishKeepsResults reads a final result often, then while no node answers.
func TestVarnishKeepsResults(t *testing.T) {
	p := startPool(t)
	front := balancertest.Varnish(t, balancertest.FreePort(t), p.nodes.Listener.Addr().String())
	p.open(t)
	job := p.enqueue(t)
	if _, err := p.Client.Wait(t.Context(), job.Result.URL); err != nil {
		t.Fatal(err)
	}
	const reads = 1000
	before := p.requests.Load()
	for range reads {
		if status, body, err := balancertest.Get(t.Context(), front+"/"+job.ID); status != http.StatusOK || err != nil || !strings.Contains(body, `"answer":42`) {
			t.Fatal(status, body, err)
		}
	}
	if n := p.requests.Load() - before; n > reads/100 {
		t.Errorf("%d of %d requests came to a node", n, reads)
	}
	p.stopNodes()
	for range 20 {
		if status, body, err := balancertest.Get(t.Context(), front+"/"+job.ID); status != http.StatusOK || err != nil || !strings.Contains(body, `"answer":42`) {
			t.Errorf("without nodes: %d %s %v", status, body, err)
		}
	}
}
