package publisher

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// event is one Server-Sent Event as a client reads it.
type event struct {
	kind, id, data string
}

// streamOf opens the events of a job; next returns one event after another and
// io.EOF at the end.
func streamOf(t *testing.T, base, id string) (next func() (event, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+id+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", "of another life")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r) //nolint:bodyclose // closed at the end of the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		t.Fatalf("events of %s: %d", id, resp.StatusCode)
	}
	lines := bufio.NewReader(resp.Body)
	return func() (event, error) { return readEvent(lines) }
}

func readEvent(lines *bufio.Reader) (event, error) {
	var e event
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		case "":
			if e.data != "" {
				return e, nil
			}
		}
	}
}

func (e event) result(t *testing.T) jobs.Result {
	t.Helper()
	var r jobs.Result
	if err := json.Unmarshal([]byte(e.data), &r); err != nil || e.kind != "state" || e.id == "" {
		t.Fatalf("%v in %+v", err, e)
	}
	return r
}

func (b *bench) listen() string {
	b.t.Helper()
	server := httptest.NewServer(b.p.Handler())
	b.t.Cleanup(server.Close)
	b.t.Cleanup(b.p.broker.End)
	return server.URL
}

func TestEventsFollowAJobToItsEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	base, id := b.listen(), b.queued("")
	next := streamOf(t, base, id)
	expect := func(want jobs.State, progress float64) event {
		t.Helper()
		for {
			e, err := next()
			if err != nil {
				t.Fatal(err)
			}
			r := e.result(t)
			if r.State == want && (progress == 0 || r.Progress != nil && *r.Progress == progress) {
				return e
			}
			if r.State.Final() {
				t.Fatalf("the end came early: %s", e.data)
			}
		}
	}
	expect(jobs.Queued, 0)
	b.running(id)
	expect(jobs.Running, 0)
	b.report(id, 0.25)
	expect(jobs.Running, 0.25)
	body := b.succeed(id, 1, `{"line":"a\nb"}`)
	if e := expect(jobs.Succeeded, 0); e.data != string(body) {
		t.Errorf("the last event has %s, want the result %s", e.data, body)
	}
	if _, err := next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	b.watched(0)
}

func TestEventsOfAnEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	base := b.listen()
	done, _ := b.succeeded("[1]")
	large, _ := b.succeeded(sized((256 << 10) / 5))
	for id, want := range map[string]jobs.State{done: jobs.Succeeded, large: jobs.Succeeded, b.failed(): jobs.Failed} {
		next := streamOf(t, base, id)
		e, err := next()
		if err != nil {
			t.Fatal(err)
		}
		if r := e.result(t); r.State != want || id == large && r.Result != nil {
			t.Errorf("got %.200s", e.data)
		}
		if _, err := next(); !errors.Is(err, io.EOF) {
			t.Errorf("after the end: %v", err)
		}
	}
}

func TestEventsWaitForAJobOnItsWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	base, id := b.listen(), jobs.NewID()
	first := make(chan event, 1)
	go func() {
		e, err := streamOf(t, base, id)()
		if err != nil {
			t.Error(err)
		}
		first <- e
	}()
	b.watched(1)
	if _, err := b.acceptDocument(t.Context(), jobDocument(id, ""), ""); err != nil {
		t.Fatal(err)
	}
	if r := (<-first).result(t); r.State != jobs.Queued {
		t.Errorf("got %s", r.State)
	}
}

func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxStreams = 1 })
	base, id := b.listen(), b.queued("")
	next := streamOf(t, base, id)
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	r := b.get("/" + id + "/events")
	if p := decodeAs[jobs.Problem](t, r); p.Status != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("%+v %v", p, r.Header)
	}
}

func TestEventsEndWithTheHub(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	base, id := b.listen(), b.queued("")
	next := streamOf(t, base, id)
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	b.p.broker.End()
	if _, err := next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	r := b.get("/" + id + "/events")
	if r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("afterwards: %d", r.StatusCode)
	}
}

// TestSlowStreamHoldsUpNobody has a client that never reads: the others are
// told in time, and its own stream ends when writing has taken too long.
func TestSlowStreamHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	base, id := b.listen(), b.queued("")
	attempt := b.running(id)
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /"+id+"/events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b.watched(1)
	next := streamOf(t, base, id)
	large := json.RawMessage(`"` + strings.Repeat("x", 200<<10) + `"`)
	for i := range 30 {
		progress := float64(i+1) / 100
		if err := b.ledger.Report(t.Context(), id, attempt, liveOf(progress, large)); err != nil {
			t.Fatal(err)
		}
		for {
			e, err := next()
			if err != nil {
				t.Fatal(err)
			}
			if r := e.result(t); r.Progress != nil && *r.Progress == progress {
				break
			}
		}
	}
}
