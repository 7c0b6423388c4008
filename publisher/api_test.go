package publisher

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

func liveOf(progress float64, partial []byte) ledger.Live {
	return ledger.Live{Progress: &progress, Partial: partial}
}

const jsonBody = "Content-Type: application/json"

func TestPostJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.ask("POST", "/api/v1/jobs", `{"program":"forecast","input":{"data":[1]}}`, jsonBody)
	got := decodeAs[jobs.Result](t, r)
	want := "http://127.0.0.1:8420/" + got.ID
	if r.StatusCode != http.StatusCreated || r.Header.Get("Location") != want || got.State != jobs.Queued || got.Timestamp.IsZero() {
		t.Errorf("%d %v %+v", r.StatusCode, r.Header, got)
	}
	if r := b.get("/" + got.ID); r.StatusCode != http.StatusAccepted {
		t.Errorf("the result URL: %d", r.StatusCode)
	}
	if r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("any page may read the answer to a write")
	}
}

// TestPostJobMinimal checks the answer to a client that does not want to know what the job
// waits for.
func TestPostJobMinimal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for prefer, minimal := range map[string]bool{
		"": false, "return=minimal": true, "wait=5, Return=\"minimal\"; x": true, "return=representation": false, "return": false, "return=representation, return=minimal": false,
	} {
		r := b.ask("POST", "/api/v1/jobs", `{"program":"forecast","input":{"data":[1]}}`, jsonBody, "Prefer: "+prefer)
		got := decodeAs[jobs.Result](t, r)
		if r.StatusCode != http.StatusCreated || got.State != jobs.Queued || got.Created.IsZero() || r.Header.Get("Location") == "" {
			t.Errorf("%q: %d %+v", prefer, r.StatusCode, got)
		}
		if (got.Position == nil) != minimal || (r.Header.Get("Preference-Applied") == "return=minimal") != minimal {
			t.Errorf("%q: %v %+v", prefer, r.Header, got)
		}
	}
}

func TestPostJobAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, document := range map[string]string{
		"whole":        string(jobDocument(jobs.NewID(), "")),
		"without time": `{"id":"` + jobs.NewID() + `","program":"forecast","input":{"data":1}}`,
	} {
		for _, want := range []int{http.StatusCreated, http.StatusOK, http.StatusOK} {
			r := b.ask("POST", "/api/v1/jobs", document, jsonBody)
			if r.StatusCode != want || r.Header.Get("Location") == "" {
				t.Errorf("%s: %d %s, want %d", name, r.StatusCode, bodyOf(t, r), want)
			}
		}
		other := strings.Replace(document, `"data":1`, `"data":"a secret"`, 1)
		r := b.ask("POST", "/api/v1/jobs", other, jsonBody)
		p := decodeAs[jobs.Problem](t, r)
		if r.StatusCode != http.StatusConflict || p.Status != http.StatusConflict || p.Pointer != "/input/data" || strings.Contains(p.Detail, "secret") {
			t.Errorf("%s: %d %+v", name, r.StatusCode, p)
		}
	}
}

// TestPostAfterALostAnswer checks the retries of several processes, each of which fills in
// a time and a trace of its own, on both ways into the ledger.
func TestPostAfterALostAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := jobs.NewID()
	created := func(at string) string {
		return fmt.Sprintf(`{"created":%q,"input":{"data":{"b":1,"a":2}},"program":"forecast","id":%q,"result":{"url":"http://127.0.0.1:8420/%s"}}`, at, id, id)
	}
	bare := fmt.Sprintf(`{"id":%q,"program":"forecast","input":{"data":{"a":2,"b":1}}}`, id)
	post := func(document string, want int, fields ...string) {
		t.Helper()
		if r := b.ask("POST", "/api/v1/jobs", document, append(fields, jsonBody)...); r.StatusCode != want {
			t.Errorf("%d %s, want %d for %s", r.StatusCode, bodyOf(t, r), want, document)
		}
	}
	inbox := func(document string) {
		t.Helper()
		if accepted, err := b.acceptDocument(t.Context(), []byte(document), ""); err != nil || accepted.New || accepted.Err != nil {
			t.Errorf("%+v, %v for %s", accepted, err, document)
		}
	}
	post(created("2026-11-22T06:16:00Z"), http.StatusCreated)
	post(created("2026-11-22T06:17:00Z"), http.StatusOK)
	post(bare, http.StatusOK, "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	inbox(created("2026-11-22T06:18:00Z"))
	inbox(created("2026-11-22T06:16:00Z"))
	events, err := b.ledger.Events.Newest(t.Context(), id, 10)
	if err != nil || len(events) != 1 {
		t.Errorf("%+v, %v; want the acceptance alone", events, err)
	}
}

func TestPostOfADocumentThatCameThroughTheInbox(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := jobs.NewID()
	document := fmt.Sprintf(`{"id":%q,"program":"forecast","input":{"data":1},"result":{"url":"http://127.0.0.1:8420/%s"}}`, id, id)
	if accepted, err := b.acceptDocument(t.Context(), []byte(document), ""); err != nil || accepted.Err != nil {
		t.Fatal(err, accepted.Err)
	}
	if r := b.ask("POST", "/api/v1/jobs", document, jsonBody); r.StatusCode != http.StatusOK {
		t.Errorf("the same document: %d %s", r.StatusCode, bodyOf(t, r))
	}
	other := strings.Replace(document, `"data":1`, `"data":2`, 1)
	if r := b.ask("POST", "/api/v1/jobs", other, jsonBody); r.StatusCode != http.StatusConflict {
		t.Errorf("another document: %d", r.StatusCode)
	}
}

func TestPostJobFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := `{"program":"forecast","input":{"data":1}}`
	for _, test := range []struct {
		name, body string
		fields     []string
		status     int
		pointer    string
	}{
		{"no type", good, nil, 415, ""},
		{"form", good, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, ""},
		{"text", good, []string{"Content-Type: text/plain"}, 415, ""},
		{"packed", good, []string{jsonBody, "Content-Encoding: gzip"}, 415, ""},
		{"with charset", good, []string{"Content-Type: application/json; charset=utf-8"}, 201, ""},
		{"nothing", "", []string{jsonBody}, 400, ""},
		{"not JSON", "{", []string{jsonBody}, 400, ""},
		{"two values", good + good, []string{jsonBody}, 400, ""},
		{"number", "1", []string{jsonBody}, 422, ""},
		{"bad program", `{"program":"../x","input":{"data":1}}`, []string{jsonBody}, 422, "/program"},
		{"unknown field", `{"program":"forecast","input":{"data":1},"colour":1}`, []string{jsonBody}, 422, "/colour"},
		{"too large", `"` + strings.Repeat("x", jobs.MaxDocument) + `"`, []string{jsonBody}, 413, ""},
	} {
		r := b.ask("POST", "/api/v1/jobs", test.body, test.fields...)
		if r.StatusCode == 201 && test.status == 201 {
			continue
		}
		p := decodeAs[jobs.Problem](t, r)
		if r.StatusCode != test.status || p.Status != test.status || p.Pointer != test.pointer || p.Title == "" || p.Detail == "" {
			t.Errorf("%s: %d %+v, want %d at %q", test.name, r.StatusCode, p, test.status, test.pointer)
		}
	}
	r := b.ask("POST", "/api/v1/jobs", "", jsonBody)
	r.Body.Close()
	chunked := b.ask("POST", "/api/v1/jobs", strings.Repeat(" ", jobs.MaxDocument+1), jsonBody, "Transfer-Encoding: chunked")
	if chunked.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too large without a length: %d", chunked.StatusCode)
	}
}

func TestANodeWithoutTheFunctionsSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Accept, c.Act, c.Drain, c.Undrain = nil, nil, nil, nil })
	id := b.queued("")
	for _, test := range []struct{ method, path, body string }{
		{"POST", "/api/v1/jobs", "{}"},
		{"POST", "/api/v1/jobs/" + id + "/cancel", ""},
		{"POST", "/api/v1/jobs/" + id + "/retry", `{"as_new":true}`},
		{"POST", "/api/v1/jobs/cancel", `{"all":true}`},
		{"POST", "/api/v1/drain", `{"node":""}`},
		{"DELETE", "/api/v1/drain?node=", ""},
	} {
		r := b.ask(test.method, test.path, test.body, jsonBody)
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != http.StatusForbidden || p.Detail == "" {
			t.Errorf("%s %s: %d %+v", test.method, test.path, r.StatusCode, p)
		}
	}
}

func TestListJobs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ids []string
	for range 5 {
		ids = append(ids, b.queued(`"labels":{"meter":"42"}`))
	}
	failed := b.failed()
	var listed []string
	cursor := ""
	for range 10 {
		page := decodeAs[api.Page](t, b.get("/api/v1/jobs?state=queued&label=meter%3D42&limit=2"+cursor))
		for _, r := range page.Jobs {
			listed = append(listed, r.ID)
		}
		if cursor = "&cursor=" + page.Next; page.Next == "" {
			break
		}
	}
	slices.Reverse(listed)
	if !slices.Equal(listed, ids) {
		t.Errorf("got %v, want %v", listed, ids)
	}
	page := decodeAs[api.Page](t, b.get("/api/v1/jobs?state=failed"))
	if len(page.Jobs) != 1 || page.Jobs[0].ID != failed || page.Jobs[0].Error == nil || page.Jobs[0].Error.LogTail != "" {
		t.Errorf("got %+v", page)
	}
	if body := bodyOf(t, b.get("/api/v1/jobs?state=waiting")); body != `{"jobs":[]}` {
		t.Errorf("an empty list is %s", body)
	}
}

func TestJobDetails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.failed()
	d := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+id))
	if d.Job.ID != id || d.Job.Program != testProgram || d.Status.State != jobs.Failed || len(d.Events) == 0 {
		t.Errorf("got %+v", d)
	}
	if len(d.Attempts) != 1 || d.Attempts[0].Number != 1 || d.Attempts[0].ExitCode == nil || *d.Attempts[0].ExitCode != 65 {
		t.Errorf("attempts %+v", d.Attempts)
	}
	running := b.queued("")
	b.running(running)
	if d := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+running)); len(d.Attempts) != 1 || d.Attempts[0].ExitCode != nil {
		t.Errorf("attempts of a running job: %+v", d.Attempts)
	}
}

func TestNodesAndPrograms(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if body := bodyOf(t, b.get("/api/v1/nodes")); body != `{"nodes":[]}` {
		t.Errorf("no nodes are %s", body)
	}
	if body := bodyOf(t, b.get("/api/v1/programs")); body != `{"programs":[]}` {
		t.Errorf("no programs are %s", body)
	}
	b.register(3)
	list := decodeAs[api.Nodes](t, b.get("/api/v1/nodes")).Nodes
	if len(list) != 1 || !list[0].Alive || list[0].Slots != 3 || !slices.Equal(list[0].Programs, []string{testProgram}) {
		t.Errorf("got %+v", list)
	}
	if err := b.ledger.Nodes.Leave(t.Context(), testInstance); err != nil {
		t.Fatal(err)
	}
	if list := decodeAs[api.Nodes](t, b.get("/api/v1/nodes")).Nodes; len(list) != 1 || list[0].Alive {
		t.Errorf("after it left: %+v", list)
	}
	programs := decodeAs[struct{ Programs []nodes.Program }](t, b.get("/api/v1/programs")).Programs
	if len(programs) != 1 || programs[0].Name != testProgram || programs[0].Description != "d" {
		t.Errorf("got %+v", programs)
	}
}
