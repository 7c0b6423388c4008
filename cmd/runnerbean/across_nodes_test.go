//go:build pool

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
	"github.com/runnerbean/runnerbean/jobs"
)

// poolOnServers prepares two nodes with a ledger in PostgreSQL and a store in a bucket.
func poolOnServers(t *testing.T) (a, b *process, database string) {
	t.Helper()
	a, b, _, _ = poolAndServers(t)
	return a, b, a.setting("LEDGER")
}

// poolAndServers does what poolOnServers does, and returns the servers, for faults of them.
func poolAndServers(t *testing.T) (a, b *process, server *postgrestest.Server, queue *queuetest.Server) {
	t.Helper()
	bucket := buckettest.Start(t).URL
	server, err := postgrestest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	database, err := server.NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	queue = queuetest.Start(t)
	a, b = newNode(t, queue.Addr), newNode(t, queue.Addr)
	for _, n := range []*process{a, b} {
		n.env = append(n.env, "RUNNERBEAN_LEDGER="+database, "RUNNERBEAN_STORE="+bucket, "RUNNERBEAN_LEASE=5s",
			"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test-secret")
	}
	b.env = append(b.env, "RUNNERBEAN_NODE=n2")
	return a, b, server, queue
}

// news is one event of a stream.
type news struct{ id, kind, data string }

// follow reads an event stream of the node, after an event if last is not empty.
func (p *process) follow(path, last string) (next func() news, stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	p.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	answer, err := http.DefaultClient.Do(request) //nolint:bodyclose // closed at the end of the test
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %+v %v", path, answer, err)
	}
	p.t.Cleanup(func() { answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	return func() (n news) {
		p.t.Helper()
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case lines.Text() == "" && n.data != "":
				return n
			case name == "id":
				n.id = value
			case name == "event":
				n.kind = value
			case name == "data":
				n.data += value
			}
		}
		p.t.Fatalf("the end of %s: %v", path, lines.Err())
		return n
	}, cancel
}

// logged returns the next event of the log about a node, and how the stream names it.
func logged(t *testing.T, next func() news, node string) (e api.Event, id string) {
	t.Helper()
	for {
		n := next()
		if err := json.Unmarshal([]byte(n.data), &e); n.kind == "event" && err == nil && e.Node == node {
			return e, n.id
		}
		e = api.Event{}
	}
}

// TestPoolClientOfOneNodeFollowsAJobOfAnother has a job that only the second node can run, and
// clients of the first: a stream of events, the stream of the result, pages and API.
func TestPoolClientOfOneNodeFollowsAJobOfAnother(t *testing.T) {
	a, b, _ := poolOnServers(t)
	gate := filepath.Join(b.folder, "gate")
	b.install("far", `[ "$RUNNERBEAN_ATTEMPT" = 1 ] && exit 1
echo '{"progress":0.25,"message":"half of the half","partial":{"first":7}}' >&3
until [ -e `+gate+` ]; do sleep 0.05; done; echo '{"all":42}'`)
	a.start("worker")
	b.start("worker")
	events, stop := a.follow("/api/v1/events?types=event,change", "")
	url := strings.Replace(b.submit("far", "1"), b.url, a.url, 1)
	id := idOf(url)
	if e, _ := logged(t, events, "n2"); e.Kind != "retrying" || e.Job != id {
		t.Errorf("the first event of n2 is %+v", e)
	}
	every, _ := a.follow("/api/v1/events?types=job", "")
	one, _ := a.follow("/api/v1/events?types=job&job="+id, "")
	result, _ := a.follow("/"+id+"/events", "")
	seen := ""
	for !strings.Contains(seen, `"first":7`) {
		seen += result().data
	}
	if !strings.Contains(seen, `0.25`) || !strings.Contains(seen, "half of the half") {
		t.Errorf("the stream of the result has %s", seen)
	}
	for events().kind != "change" {
	}
	stop()
	if d := a.details(id).Status; d.State != jobs.Running || d.Node != "n2" || d.Progress == nil || *d.Progress != 0.25 {
		t.Errorf("the first node says %s on %s, %v", d.State, d.Node, d.Progress)
	}
	a.until("the page of the first node shows the job", func() bool {
		page := a.text("/jobs/" + id)
		return strings.Contains(page, "half of the half") && strings.Contains(page, "n2")
	})
	for n := (news{}); !strings.Contains(n.data, `"progress":0.25`); {
		n = one()
	}
	write(t, gate, "")
	for _, next := range []func() news{one, every} {
		for n := (news{}); !strings.Contains(n.data, `"state":"succeeded"`) || !strings.Contains(n.data, id); {
			n = next()
		}
	}
	for !strings.Contains(seen, `"all":42`) {
		seen += result().data
	}
	if r := a.final(url); r.State != jobs.Succeeded || r.Node != "n2" || r.Attempt != 2 || string(r.Result) != `{"all":42}` {
		t.Errorf("the result at the first node is %+v", r)
	}
}

// TestPoolEventsGoOnAtAnotherNode reads events of the second node at the first one. What a client
// misses meanwhile comes at either node, in order.
func TestPoolEventsGoOnAtAnotherNode(t *testing.T) {
	a, b, _ := poolOnServers(t)
	a.start("worker")
	b.start("worker")
	next, stop := a.follow("/api/v1/events?types=event", "")
	b.must("drain", "n2")
	e, last := logged(t, next, "n2")
	if e.Kind != "drained" {
		t.Fatalf("got %+v", e)
	}
	stop()
	want := []string{"undrained", "drained", "undrained", "paused", "resumed"}
	for _, command := range [][]string{{"drain", "n2", "--off"}, {"drain", "n2"}, {"drain", "n2", "--off"}, {"pause", "n2"}, {"resume", "n2"}} {
		b.must(command...)
	}
	for _, n := range []*process{b, a} {
		next, stop := n.follow("/api/v1/events?types=event", last)
		var got []string
		for range want {
			e, _ := logged(t, next, "n2")
			got = append(got, e.Kind)
		}
		stop()
		if !slices.Equal(got, want) {
			t.Errorf("%s tells %v, want %v", n.url, got, want)
		}
	}
}

// TestPoolNodeWithAnotherClock has a node whose heartbeats say that it is an hour later: it is
// alive while they change, and dead afterwards.
func TestPoolNodeWithAnotherClock(t *testing.T) {
	a, b, database := poolOnServers(t)
	a.start("worker")
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	// Times are in microseconds.
	if _, err := conn.Exec(t.Context(), `
		CREATE FUNCTION ahead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.beat > 0 THEN NEW.beat := NEW.beat + 3600000000; END IF; RETURN NEW; END $$;
		CREATE TRIGGER ahead BEFORE INSERT OR UPDATE OF beat ON nodes FOR EACH ROW WHEN (NEW.name = 'n2') EXECUTE FUNCTION ahead()`); err != nil {
		t.Fatal(err)
	}
	b.start("worker")
	state := func() string {
		if m := pageState.FindStringSubmatch(a.text("/nodes/n2")); m != nil {
			return m[1]
		}
		return ""
	}
	beats := map[time.Time]bool{}
	a.until("the page shows several heartbeats of the future", func() bool {
		var o api.Overview
		a.api("/api/v1/overview", &o)
		for _, n := range o.Nodes {
			if n.Name == "n2" && n.Beat.After(time.Now().Add(30*time.Minute)) {
				beats[n.Beat] = true
				// Until a heartbeat was seen to change, its date counts.
				if len(beats) > 1 && !n.Alive {
					t.Fatalf("n2 is not alive: %+v", n)
				}
			}
		}
		return len(beats) > 2
	})
	if got := state(); got != "up" {
		t.Errorf("the page says that n2 is %q", got)
	}
	b.end(syscall.SIGKILL)
	a.until("the page says that n2 is dead", func() bool { return state() == "dead" })
}
