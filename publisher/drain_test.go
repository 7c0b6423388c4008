package publisher

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

func TestDrain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(2)
	if body := bodyOf(t, b.get("/api/v1/drain")); body != `{"queue":null,"nodes":[]}` {
		t.Errorf("at first: %s", body)
	}
	for _, body := range []string{`{"node":"","reason":"new disks"}`, `{"node":"` + testNode + `","reason":""}`} {
		if r := b.ask("POST", "/api/v1/drain", body, jsonBody); r.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", body, r.StatusCode, bodyOf(t, r))
		}
	}
	got := decodeAs[api.Drains](t, b.get("/api/v1/drain"))
	if got.Queue == nil || got.Queue.Reason != "new disks" || got.Queue.By == "" || got.Queue.Since.IsZero() {
		t.Errorf("the queue: %+v", got.Queue)
	}
	if len(got.Nodes) != 1 || got.Nodes[0].Node != testNode {
		t.Errorf("the nodes: %+v", got.Nodes)
	}
	if nodes := decodeAs[api.Nodes](t, b.get("/api/v1/nodes")).Nodes; len(nodes) != 1 || !nodes[0].Drained {
		t.Errorf("nodes %+v", nodes)
	}
	for _, name := range []string{"", testNode} {
		if r := b.ask("DELETE", "/api/v1/drain?node="+name, ""); r.StatusCode != http.StatusOK {
			t.Errorf("%q: %d %s", name, r.StatusCode, bodyOf(t, r))
		}
		r := b.ask("DELETE", "/api/v1/drain?node="+name, "")
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != http.StatusNotFound || !strings.Contains(p.Detail, "not drained") {
			t.Errorf("%q again: %d %+v", name, r.StatusCode, p)
		}
	}
	if body := bodyOf(t, b.get("/api/v1/drain")); body != `{"queue":null,"nodes":[]}` {
		t.Errorf("at last: %s", body)
	}
}

// A change that the ledger has recorded has not failed, even if the ledger cannot be read
// after it.
func TestDrainIsNoFailureOnceItIsRecorded(t *testing.T) {
	t.Parallel()
	var b *bench
	blind := func(err error) error { return errors.Join(err, b.rename("drains", "hidden")) }
	b = newBench(t, func(c *Config) {
		drain, undrain := c.Drain, c.Undrain
		c.Drain = func(ctx context.Context, node, by, reason string) error { return blind(drain(ctx, node, by, reason)) }
		c.Undrain = func(ctx context.Context, node, by string) error { return blind(undrain(ctx, node, by)) }
	})
	b.register(2)
	for _, name := range []string{"", testNode} {
		r := b.ask("POST", "/api/v1/drain", `{"node":"`+name+`","reason":"new disks"}`, jsonBody)
		got := decodeAs[api.Drains](t, r)
		if drained := got.Queue != nil && name == "" || len(got.Nodes) == 1 && got.Nodes[0].Node == name; r.StatusCode != http.StatusOK || !drained {
			t.Errorf("drain %q: %d %+v", name, r.StatusCode, got)
		}
		if err := b.rename("hidden", "drains"); err != nil {
			t.Fatal(err)
		}
		r = b.ask("DELETE", "/api/v1/drain?node="+name, "")
		if got := decodeAs[api.Drains](t, r); r.StatusCode != http.StatusOK || got.Queue != nil || len(got.Nodes) > 0 {
			t.Errorf("undrain %q: %d %+v", name, r.StatusCode, got)
		}
		if err := b.rename("hidden", "drains"); err != nil {
			t.Fatal(err)
		}
	}
}

// rename hides a table from the ledger, or brings it back.
func (b *bench) rename(from, to string) error {
	db, err := sql.Open("sqlite", "file:"+b.ledgerFile()+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	_, err = db.Exec("ALTER TABLE " + from + " RENAME TO " + to)
	return errors.Join(err, db.Close())
}

func TestDrainIsAskedWithSense(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(2)
	long := strings.Repeat("x", httpio.MaxText+1)
	for _, test := range []struct {
		method, query, body string
		status              int
		detail              string
	}{
		{"POST", "", `{}`, 422, `"node": "" is the whole queue`},
		{"POST", "", `{"reason":"because"}`, 422, `"node": "" is the whole queue`},
		{"POST", "", `{"node":null}`, 422, `"node": "" is the whole queue`},
		{"POST", "", `{"node":1}`, 422, "/node"},
		{"POST", "", `{"node":"nobody"}`, 404, "known are " + testNode},
		{"POST", "", `{"node":"` + long + `"}`, 422, "1 to 512 bytes"},
		{"POST", "", `{"node":"","reason":"` + long + `"}`, 422, "1 to 512 bytes"},
		{"POST", "", `{"node":"","reason":"\u0000"}`, 422, "1 to 512 bytes"},
		{"POST", "", `{"node":"","since":"now"}`, 422, "/since"},
		{"POST", "", `[]`, 400, "object"},
		{"DELETE", "", "", 400, "?node=NAME"},
		{"DELETE", "?name=x", "", 400, "not known here"},
		{"DELETE", "?node=&node=x", "", 400, "more than once"},
		{"DELETE", "?node=%00", "", 400, "1 to 512 bytes"},
		{"DELETE", "?node=nobody", "", 404, "not drained"},
		{"PUT", "", "{}", 405, ""},
	} {
		r := b.ask(test.method, "/api/v1/drain"+test.query, test.body, jsonBody)
		p := decodeAs[jobs.Problem](t, r)
		if r.StatusCode != test.status || p.Status != test.status || !strings.Contains(p.Detail, test.detail) {
			t.Errorf("%s %s %.60s: %d %+v, want %d with %q", test.method, test.query, test.body, r.StatusCode, p, test.status, test.detail)
		}
	}
	if body := bodyOf(t, b.get("/api/v1/drain")); body != `{"queue":null,"nodes":[]}` {
		t.Errorf("one of these has drained: %s", body)
	}
}

func TestDrainIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(2)
	id := b.queued("")
	if page := plainWords(bodyOf(t, b.get("/", "Accept: text/html"))); strings.Contains(page, "drained") {
		t.Errorf("the list begins with %.300s", page)
	}
	for node, reason := range map[string]string{"": "new <b>disks</b>", testNode: ""} {
		if err := b.ledger.Nodes.Drain(t.Context(), node, "a person", reason); err != nil {
			t.Fatal(err)
		}
	}
	b.p.forget()
	page := plainWords(bodyOf(t, b.get("/", "Accept: text/html")))
	for _, want := range []string{"The queue is drained: no new job is accepted since", "(new <b>disks</b>).", "node1 drained"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in %.600s", want, page)
		}
	}
	got := decodeAs[jobs.Result](t, b.get("/"+id))
	if want := `no node that has the program "forecast" takes work: node1 is drained`; got.Reason != want {
		t.Errorf("a queued job says %q, want %q", got.Reason, want)
	}
}

func TestNodesTellWhatRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(3)
	for range 2 {
		b.inState(jobs.Running)
	}
	b.inState(jobs.Queued)
	nodes := decodeAs[api.Nodes](t, b.get("/api/v1/nodes")).Nodes
	if len(nodes) != 1 || nodes[0].Running != 2 || nodes[0].Drained || !nodes[0].Alive {
		t.Errorf("got %+v", nodes)
	}
}

// TestEveryWriteIsGuarded tests all routes that write.
func TestEveryWriteIsGuarded(t *testing.T) {
	t.Parallel()
	token := newBench(t, func(c *Config) { c.Token = "s3cret-s3cret-s3cret" })
	open := newBench(t)
	id := token.failed()
	paths := 0
	for _, r := range token.p.table() {
		if r.needs.Role() != auth.Operator {
			if r.method != http.MethodGet && r.path != "/login" && r.path != "/logout" {
				t.Errorf("%s %s is open to all", r.method, r.path)
			}
			continue
		}
		paths++
		path := strings.Replace(r.path, ":id", id, 1)
		if got := token.ask(r.method, path, "{}", jsonBody); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s %s without the token: %d", r.method, path, got.StatusCode)
		}
		for name, field := range map[string]string{"another site": "Sec-Fetch-Site: cross-site", "another name": "Host: evil.example"} {
			if got := open.ask(r.method, path, "{}", jsonBody, field); got.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s from %s: %d", r.method, path, name, got.StatusCode)
			}
		}
	}
	if least := 1 + 2*len(ledger.Verbs) + 2; paths < least {
		t.Errorf("%d writing routes, want at least %d", paths, least)
	}
	if got := decodeAs[jobs.Result](t, token.get("/"+id)); got.State != jobs.Failed {
		t.Errorf("the job is %s", got.State)
	}
	if !slices.ContainsFunc(operations.Verbs, func(v operations.Verb) bool { return v.Name == ledger.VerbTerminate }) || len(operations.Verbs) != len(ledger.Verbs) {
		t.Error("a verb of the ledger has no route")
	}
}
