package publisher

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	var got []string
	b := newBench(t, func(c *Config) {
		c.Ready = func(context.Context) error { panic("boo") }
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "up 1\n") })
		c.Observe = func(route, method string, status int, took time.Duration) {
			if took <= 0 {
				t.Errorf("%s took %s", route, took)
			}
			got = append(got, fmt.Sprint(method, " ", route, " ", status))
		}
	})
	id := b.queued("")
	for _, path := range []string{"/" + id, "/results/" + id, "/x/y/z", "/%0a", "/readyz", "/healthz", "/metrics"} {
		b.get(path).Body.Close()
	}
	b.ask("POST", "/"+id, "").Body.Close()
	b.ask("BREW", "/"+id, "").Body.Close()
	done, _ := b.succeeded("[1]")
	b.get("/" + done).Body.Close() // fills the cache
	b.get("/" + done).Body.Close()
	if n := b.p.FromMemory(); n != 1 {
		t.Errorf("%d from memory", n)
	}
	want := []string{
		"GET /:id 202", "GET /results/:id 202", "GET other 404", "GET /:id 404", "GET /readyz 500", "GET /healthz 200",
		"GET /metrics 200", "POST /:id 405", "BREW /:id 405", "GET /:id 200",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoMetricsWithoutThem(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if r := b.get("/metrics"); r.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", r.StatusCode)
	}
}

// TestEveryResultFromMemoryIsCounted once, below net/http too.
func TestEveryResultFromMemoryIsCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	addr, stop := b.serve()
	id, _ := b.succeeded(tenKiB())
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	const asked = 20
	for range asked + 1 { // the first one comes from the store
		bodyOf(t, do(t, client, "GET", "http://"+addr+"/"+id))
	}
	bodyOf(t, do(t, client, "HEAD", "http://"+addr+"/results/"+id))
	if b.p.ServedFast() == 0 {
		t.Error("none was served below net/http")
	}
	if n := b.p.FromMemory(); n != asked+1 {
		t.Errorf("%d results were counted of %d", n, asked+1)
	}
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}
