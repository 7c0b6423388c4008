package publisher

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

func TestNodesAreControlled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(3)
	ask := func(method, path, body string, fields ...string) api.Node {
		t.Helper()
		if body != "" {
			fields = append(fields, jsonBody)
		}
		r := b.ask(method, "/api/v1/nodes/"+testNode+path, body, fields...)
		if r.StatusCode != 200 || r.Header.Get("ETag") == "" && method != http.MethodPatch {
			t.Fatalf("%s %s: %d %v %s", method, path, r.StatusCode, r.Header, bodyOf(t, r))
		}
		return decodeAs[api.Node](t, r)
	}
	if n := ask("POST", "/pause", `{"reason":"it is hot"}`); !n.Control.Paused || n.Control.Reason != "it is hot" || n.Control.By == "" {
		t.Errorf("%+v", n.Control)
	}
	if n := ask("POST", "/resume", ""); n.Control.Paused || n.Control.Reason != "" {
		t.Errorf("%+v", n.Control)
	}
	if n := ask("PATCH", "", `{"slots":1}`); n.Control.Slots == nil || *n.Control.Slots != 1 {
		t.Errorf("%+v", n.Control)
	}
	if n := ask("PATCH", "", `{"slots":null,"reason":"cool again"}`); n.Control.Slots != nil || n.Control.Reason != "cool again" {
		t.Errorf("%+v", n.Control)
	}
	if n := ask("POST", "/drain", `{"reason":"new disk"}`); !n.Drained {
		t.Errorf("%+v", n)
	}
	if n := ask("POST", "/undrain", " "); n.Drained {
		t.Errorf("%+v", n)
	}
	kinds := map[string]int{}
	for _, e := range decodeAs[api.EventPage](t, b.get("/api/v1/events?by=human&node="+testNode)).Events {
		kinds[e.Kind]++
	}
	for _, kind := range []string{"paused", "resumed", "drained", "undrained"} {
		if kinds[kind] != 1 {
			t.Errorf("events by persons: %v", kinds)
		}
	}
}

// A change that was meant for one state of a node must not be applied to another state.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(3)
	id := b.queued("")
	b.running(id)
	b.report(id, 0.1)
	for _, test := range []struct{ get, method, path, body string }{
		{"/nodes/" + testNode, "POST", "/nodes/" + testNode + "/pause", ""},
		{"/nodes/" + testNode, "PATCH", "/nodes/" + testNode, `{"slots":2}`},
		{"/nodes/" + testNode, "POST", "/nodes/" + testNode + "/drain", ""},
		{"/nodes/" + testNode, "POST", "/nodes/" + testNode + "/undrain", ""},
	} {
		tag := b.get("/api/v1" + test.get).Header.Get("ETag")
		for _, wrong := range []string{`"x"`, `"1-0"`, "W/" + tag, strings.Replace(tag, `"`, `"z`, 1), "x"} {
			r := b.ask(test.method, "/api/v1"+test.path, test.body, jsonBody, "If-Match: "+wrong)
			if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 412 || p.Status != 412 {
				t.Errorf("%s with %s: %d %+v", test.path, wrong, r.StatusCode, p)
			}
		}
		if r := b.ask(test.method, "/api/v1"+test.path, test.body, jsonBody, `If-Match: "old-1", `+tag); r.StatusCode != 200 {
			t.Errorf("%s with its tag: %d %s", test.path, r.StatusCode, bodyOf(t, r))
		}
		if r := b.ask(test.method, "/api/v1"+test.path, test.body, jsonBody, "If-Match: "+tag); r.StatusCode != 412 {
			t.Errorf("%s with a tag that is over: %d", test.path, r.StatusCode)
		}
	}
	tag := b.get("/api/v1/jobs/" + id).Header.Get("ETag")
	b.report(id, 0.9) // progress does not change the version
	if r := b.ask("POST", "/api/v1/jobs/"+id+"/cancel", "", "If-Match: "+tag); r.StatusCode != 202 {
		t.Errorf("cancel of the state that was seen: %d", r.StatusCode)
	}
	b.succeed(id, 1, "[1]")
	if r := b.ask("POST", "/api/v1/jobs/"+id+"/cancel", "", "If-Match: "+tag); r.StatusCode != 412 {
		t.Errorf("cancel of a state that is over: %d", r.StatusCode)
	}
	if r := b.ask("POST", "/api/v1/jobs/"+id+"/cancel", "", "If-Match: *"); r.StatusCode != 409 {
		t.Errorf("cancel of any state: %d", r.StatusCode)
	}
	if r := b.ask("POST", "/api/v1/jobs/"+jobs.NewID()+"/cancel", "", "If-Match: "+tag); r.StatusCode != 404 {
		t.Errorf("cancel of nothing: %d", r.StatusCode)
	}
}

func TestControlsAreAskedWithSense(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(3)
	for _, test := range []struct {
		method, path, body string
		status             int
		pointer            string
	}{
		{"PATCH", "/" + testNode, ``, 400, ""},
		{"PATCH", "/" + testNode, `{}`, 422, "/slots"},
		{"PATCH", "/" + testNode, `{"slots":-1}`, 422, "/slots"},
		{"PATCH", "/" + testNode, `{"slots":1025}`, 422, "/slots"},
		{"PATCH", "/" + testNode, `{"slots":1.5}`, 422, "/slots"},
		{"PATCH", "/" + testNode, `{"slots":"2"}`, 422, "/slots"},
		{"PATCH", "/" + testNode, `{"slots":[1]}`, 422, "/slots"},
		{"PATCH", "/" + testNode, `{"slots":1,"slots":2}`, 400, ""},
		{"PATCH", "/" + testNode, `{"slots":1,"paused":true}`, 422, "/paused"},
		{"PATCH", "/" + testNode, `{"slots":1,"reason":""}`, 422, "/reason"},
		{"PATCH", "/nobody", `{"slots":1}`, 404, ""},
		{"POST", "/nobody/pause", ``, 404, ""},
		{"POST", "/" + testNode + "/pause", `{"reason":1}`, 422, "/reason"},
		{"POST", "/" + testNode + "/pause", `{"reason":"` + strings.Repeat("x", 513) + `"}`, 422, "/reason"},
		{"POST", "/" + testNode + "/explode", ``, 404, ""},
		{"GET", "/" + testNode + "/pause", ``, 405, ""},
	} {
		r := b.ask(test.method, "/api/v1/nodes"+test.path, test.body, jsonBody)
		p := decodeAs[jobs.Problem](t, r)
		if r.StatusCode != test.status || p.Status != test.status || p.Pointer != test.pointer || p.Detail == "" {
			t.Errorf("%s %s %s: %d %+v, want %d at %q", test.method, test.path, test.body, r.StatusCode, p, test.status, test.pointer)
		}
	}
	if n := decodeAs[api.Node](t, b.get("/api/v1/nodes/"+testNode)); n.Control != (api.Control{}) || n.Drained {
		t.Errorf("one of these has changed the node: %+v", n)
	}
}

func TestSelectionByIDs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	queued, running, failed, nobody := b.queued(""), b.inState(jobs.Running), b.failed(), jobs.NewID()
	body := `{"ids":["` + strings.Join([]string{queued, running, failed, nobody, queued}, `","`) + `"]`
	for _, more := range []string{`,"dry_run":true}`, `}`} {
		got := decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/cancel", body+more, jsonBody))
		if got.Matched != 2 || len(got.Failed) != 2 || got.Next != "" || got.Done != 0 && more != "}" {
			t.Errorf("%s: %+v", more, got)
		}
		if got.Failed[0].ID != failed || !strings.Contains(got.Failed[0].Detail, "retry") || !strings.Contains(got.Failed[1].Detail, "no job") {
			t.Errorf("%s: %+v", more, got.Failed)
		}
	}
	if s := b.statesOf(); s[jobs.Cancelled] != 1 || s[jobs.Running] != 1 {
		t.Errorf("%v", s)
	}
	for body, pointer := range map[string]string{
		`{"ids":[]}`: "/ids", `{"ids":["x"]}`: "/ids/0", `{"ids":["` + queued + `"],"all":true}`: "/ids", `{"ids":["` + queued + `"],"state":"queued"}`: "/ids",
		`{"ids":["` + queued + `"],"since":"2026-01-01T00:00:00Z"}`: "/ids", `{"ids":["` + queued + `"],"limit":1}`: "/ids", `{"since":"yesterday"}`: "/since",
	} {
		r := b.ask("POST", "/api/v1/jobs/cancel", body, jsonBody)
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 422 || p.Pointer != pointer {
			t.Errorf("%s: %d %+v", body, r.StatusCode, p)
		}
	}
}

func TestSelectionByTimeAndText(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := b.queued(`"labels":{"colour":"aubergine"}`)
	b.queued("")
	for body, want := range map[string]int{
		`{"text":"AUBERGINE"`:                                 1,
		`{"text":"` + one + `"`:                               1,
		`{"text":"aubergine","state":"queued"`:                1,
		`{"text":"aubergine","state":"running"`:               0,
		`{"since":"2020-01-01T00:00:00Z"`:                     2,
		`{"until":"2020-01-01T00:00:00Z"`:                     0,
		`{"since":"2020-01-01T00:00:00Z","program":"nothing"`: 0,
	} {
		got := decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/cancel", body+`,"dry_run":true}`, jsonBody))
		if got.Matched != want {
			t.Errorf("%s: %+v, want %d", body, got, want)
		}
	}
	if got := decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/cancel", `{"text":"aubergine"}`, jsonBody)); got.Done != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAcceptMustAllowJSON(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for accept, status := range map[string]int{
		"": 200, "*/*": 200, "application/*": 200, "text/html, */*;q=0.1": 200, "application/json;q=0": 200, "text/html": 200, "image/png, text/csv": 200, "text/event-stream": 200, "*; q=.2": 200,
	} {
		r := b.get("/api/v1/jobs", "Accept: "+accept)
		if r.StatusCode != status || status == 406 && r.Header.Get("Content-Type") != httpio.TypeProblem {
			t.Errorf("%q: %d %v", accept, r.StatusCode, r.Header)
		}
	}
}

func TestListsHavePages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	names := []string{"a", "b", "b2", "c", "d"}
	for _, name := range names {
		b.registerAs(name, "1")
	}
	b.registerAs("b", "2")
	var got []string
	cursor := ""
	for range 10 {
		page := decodeAs[api.Nodes](t, b.get("/api/v1/nodes?limit=2"+cursor))
		for _, n := range page.Nodes {
			got = append(got, n.Name+n.Instance[len(n.Instance)-1:])
		}
		if cursor = "&cursor=" + page.Next; page.Next == "" {
			break
		}
	}
	if s := strings.Join(got, " "); s != "a1 b2 b1 b21 c1 d1" {
		t.Errorf("nodes: %s", s)
	}
	for _, q := range []string{"?limit=0", "?limit=x", "?cursor=%25", "?cursor=", "?name=a", "?limit=1&limit=1"} {
		for _, path := range []string{"/api/v1/nodes", "/api/v1/programs"} {
			if r := b.get(path + q); r.StatusCode != 400 {
				t.Errorf("%s%s: %d", path, q, r.StatusCode)
			}
		}
	}
}

// registerAs announces an instance of a node.
func (b *bench) registerAs(name, life string) {
	b.t.Helper()
	if err := b.ledger.Nodes.Register(context.Background(), nodes.Node{Name: name, Instance: name + "-" + life, Slots: 1, Home: name}); err != nil {
		b.t.Fatal(err)
	}
}

// TestNodesAreForgotten has the API and the page of a node forget one that has left. Both
// refuse one that is alive.
func TestNodesAreForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(3)
	for _, name := range []string{"old1", "old2"} {
		err := b.ledger.Nodes.Register(t.Context(), nodes.Node{Name: name, Instance: name})
		if err == nil {
			err = b.ledger.Nodes.Leave(t.Context(), name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, status := range map[string]int{testNode: 409, "nobody": 404, "a%00b": 404} {
		if r := b.ask("DELETE", "/api/v1/nodes/"+name, ""); r.StatusCode != status {
			t.Errorf("%s: %d %s", name, r.StatusCode, bodyOf(t, r))
		}
	}
	r := b.ask("DELETE", "/api/v1/nodes/old1", "")
	if got := decodeAs[api.Forgotten](t, r); r.StatusCode != 200 || got != (api.Forgotten{Node: "old1", Instances: 1}) {
		t.Errorf("%d %+v", r.StatusCode, got)
	}
	const button = `value="forget"`
	if page := bodyOf(t, b.get("/nodes/old2")); !strings.Contains(page, button) {
		t.Error("the page has no button")
	}
	if page := bodyOf(t, b.get("/nodes/"+testNode)); strings.Contains(page, button) {
		t.Error("the page of a living node has the button")
	}
	if r := b.ask("POST", "/nodes/"+testNode+"/act", "do=forget", formBody); r.StatusCode != 409 {
		t.Errorf("the form of a living node: %d", r.StatusCode)
	}
	if r := b.ask("POST", "/nodes/old2/act", "do=forget", formBody); r.StatusCode != 303 || !strings.HasSuffix(r.Header.Get("Location"), "/nodes") {
		t.Errorf("the form: %d %v", r.StatusCode, r.Header)
	}
	if list := decodeAs[api.Nodes](t, b.get("/api/v1/nodes")).Nodes; len(list) != 1 {
		t.Errorf("left are %+v", list)
	}
}
