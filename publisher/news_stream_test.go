package publisher

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// newsOf follows the news of a node.
func newsOf(t *testing.T, url string, last ...string) (next func() (event, error), stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	for _, id := range last {
		r.Header.Set("Last-Event-ID", id)
	}
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(r) //nolint:bodyclose // closed at the end of the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != httpio.NoStore {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewReader(resp.Body)
	return func() (event, error) { return readEvent(lines) }, func() { resp.Body.Close() }
}

// until reads events up to one of a kind about a job or node.
func until(t *testing.T, next func() (event, error), kind string, is func(data string) bool) event {
	t.Helper()
	for {
		e, err := next()
		if err != nil {
			t.Fatalf("before %s: %v", kind, err)
		}
		if e.kind == kind && is(e.data) {
			return e
		}
	}
}

func TestNewsStream(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(2)
	base := b.listen()
	next, stop := newsOf(t, base+"/api/v1/events")
	b.members(1)
	id := b.queued("")
	in := func(s jobs.State) func(string) bool {
		return func(data string) bool {
			var n api.JobNews
			return json.Unmarshal([]byte(data), &n) == nil && n.ID == id && n.State == s && n.Program == testProgram
		}
	}
	until(t, next, live.TypeJob, in(jobs.Queued))
	attempt := b.running(id)
	until(t, next, live.TypeJob, in(jobs.Running))
	b.report(id, 0.5)
	until(t, next, live.TypeJob, func(data string) bool {
		var n api.JobNews
		return json.Unmarshal([]byte(data), &n) == nil && n.Progress != nil && *n.Progress == 0.5
	})
	b.succeed(id, attempt, "1")
	until(t, next, live.TypeJob, in(jobs.Succeeded))
	if err := b.ledger.Nodes.Drain(t.Context(), testNode, "a person", "for repair"); err != nil {
		t.Fatal(err)
	}
	drainedEvent := func(data string) bool {
		var e api.Event
		return json.Unmarshal([]byte(data), &e) == nil && e.Kind == eventlog.KindDrained && e.Node == testNode
	}
	had := until(t, next, live.TypeEvent, drainedEvent)
	until(t, next, live.TypeNode, func(data string) bool {
		var n api.NodeNews
		return json.Unmarshal([]byte(data), &n) == nil && n.Name == testNode && n.Drained && n.Alive
	})
	stop()
	b.members(0)
	if err := b.ledger.Nodes.Undrain(t.Context(), testNode, "a person"); err != nil {
		t.Fatal(err)
	}
	next, _ = newsOf(t, base+"/api/v1/events?types=event,change", had.id)
	e, err := next()
	if err != nil || drainedEvent(e.data) || e.kind != live.TypeEvent {
		t.Fatalf("%v, %+v was not missed", err, e)
	}
	b.p.broker.End()
	for err == nil {
		_, err = next()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("at the end of the node: %v", err)
	}
}

// members waits until the feed has so many.
func (b *bench) members(n int) {
	b.t.Helper()
	b.eventually(func() bool { return b.p.broker.Len() == n && b.p.broker.Followers() == n })
}

func TestNewsRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxStreams = 1 })
	const sse = "Accept: text/event-stream"
	for target, want := range map[string]int{
		"?types=": 400, "?types=all": 400, "?types=job&types=node": 400, "?job=x": 400, "?program=..": 400, "?since=1": 400,
	} {
		if r := b.get("/api/v1/events"+target, sse); r.StatusCode != want || r.Header.Get("Content-Type") != httpio.TypeProblem {
			t.Errorf("%s: %d %v", target, r.StatusCode, r.Header)
		}
	}
	if r := b.ask(http.MethodHead, "/api/v1/events", "", sse); r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("HEAD: %d %v", r.StatusCode, r.Header)
	}
	next, _ := newsOf(t, b.listen()+"/api/v1/events?types=change")
	b.members(1)
	if r := b.get("/api/v1/events", sse); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("too many: %d", r.StatusCode)
	}
	b.queued("")
	if e, err := next(); err != nil || e.kind != live.TypeChange {
		t.Errorf("%v %v", e, err)
	}
}
