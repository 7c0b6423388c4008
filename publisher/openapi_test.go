package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// strict makes every object of a schema refuse members that it does not name, so that
// the test notices members that the document does not describe.
func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, named := v["properties"].(map[string]any); named && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for key, part := range v {
			switch key {
			case "if", "then", "else", "not", "allOf", "examples", "example":
			case "properties":
				for _, member := range part.(map[string]any) {
					strict(member)
				}
			default:
				strict(part)
			}
		}
	case []any:
		for _, part := range v {
			strict(part)
		}
	}
}

// described loads the OpenAPI document, strict or as it is.
func described(t testing.TB, narrow bool) *openapi3.T {
	t.Helper()
	text, err := os.ReadFile("internal/pages/assets/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	if narrow {
		strict(tree["components"].(map[string]any)["schemas"])
	}
	if text, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPIIsValid(t *testing.T) {
	t.Parallel()
	doc := described(t, false)
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Error(doc.OpenAPI)
	}
	seen := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			if o.OperationID == "" || seen[o.OperationID] || o.Summary == "" || len(o.Tags) != 1 {
				t.Errorf("%s %s: %q %q %v", method, path, o.OperationID, o.Summary, o.Tags)
			}
			seen[o.OperationID] = true
		}
	}
}

// TestOpenAPIHasEveryRoute of a node, and no other.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Metrics = http.NotFoundHandler() })
	routes := map[string]bool{}
	for _, r := range b.p.table() {
		path := strings.NewReplacer(":id", "{id}", ":name", "{name}", ":number", "{number}", "files/*", "files/{name}").Replace(r.path)
		switch {
		case len(r.path) > 1 && strings.HasSuffix(r.path, "/"): // another spelling
		case path == "/schema/*":
			routes["GET /schema/job.json"], routes["GET /schema/batch.json"], routes["GET /schema/result.json"] = true, true, true
		case strings.HasPrefix(path, "/api/"), strings.HasPrefix(path, "/{id}"), strings.HasPrefix(path, "/results/"),
			slices.Contains([]string{"/healthz", "/readyz", "/metrics", "/openapi.json"}, path):
			routes[r.method+" "+path] = true
		}
	}
	written := map[string]bool{}
	for path, item := range described(t, false).Paths.Map() {
		for method := range item.Operations() {
			written[method+" "+path] = true
		}
	}
	if diff := cmp.Diff(routes, written); diff != "" {
		t.Errorf("-routes +document: %s", diff)
	}
}

// TestOpenAPIHasThePublishedSchemas: its schemas of jobs and results are those that are
// published on their own.
func TestOpenAPIHasThePublishedSchemas(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("internal/pages/assets/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components struct {
			Schemas map[string]map[string]any
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("#/$defs/id", "#/components/schemas/JobID", "#/$defs/sha256", "#/components/schemas/SHA256",
		"#/$defs/source", "#/components/schemas/SourceURL", "#/$defs/url", "#/components/schemas/WebURL", "#/$defs/time", "#/components/schemas/Time", "#/$defs/keep", "#/components/schemas/KeepSpan")
	for name, published := range map[string][]byte{"Job": jobdoc.Schema(), "Result": jobdoc.ResultSchema()} {
		var want map[string]any
		if err := json.Unmarshal([]byte(names.Replace(string(published))), &want); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"$schema", "$id", "$defs"} {
			delete(want, key)
		}
		if diff := cmp.Diff(want, doc.Components.Schemas[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// inspector checks requests and answers against the document.
type inspector struct {
	*bench
	router routers.Router
	seen   map[string]bool // operations that have succeeded
}

func newInspector(b *bench) *inspector {
	b.t.Helper()
	for _, kind := range []string{"text/event-stream", "text/html", "image/png", "application/x-tar"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.PlainBodyDecoder)
	}
	openapi3filter.RegisterBodyDecoder("application/schema+json", openapi3filter.JSONBodyDecoder)
	router, err := gorillamux.NewRouter(described(b.t, true))
	if err != nil {
		b.t.Fatal(err)
	}
	return &inspector{bench: b, router: router, seen: map[string]bool{}}
}

// try sends a request. The answer must have a status and match the document. A request
// that succeeds must match the document too.
func (i *inspector) try(status int, method, target, body string, fields ...string) *http.Response {
	i.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Host = "127.0.0.1:8420"
	route, params, err := i.router.FindRoute(r)
	if err != nil {
		i.t.Errorf("%s %s: %v", method, target, err)
		return nil
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true,
		},
	}
	if status < 400 {
		if err := openapi3filter.ValidateRequest(i.t.Context(), input); err != nil {
			i.t.Errorf("the request %s %s %s: %v", method, target, body, err)
		}
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	w := httptest.NewRecorder()
	i.p.Handler().ServeHTTP(w, r)
	if w.Code != status {
		i.t.Errorf("%s %s %s: %d %.300s, want %d", method, target, body, w.Code, w.Body, status)
	}
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: w.Code, Header: w.Header(), Options: input.Options}
	answer.SetBodyBytes(w.Body.Bytes())
	if err := openapi3filter.ValidateResponse(i.t.Context(), answer); err != nil && w.Code != http.StatusNotModified {
		i.t.Errorf("%s %s: %d %.1500s: %v", method, target, w.Code, w.Body, err)
	}
	if w.Code < 300 {
		i.seen[route.Operation.OperationID] = true
	}
	return w.Result()
}

// populated returns a bench with jobs in all states, nodes with all members, and a
// beanstalkd.
func populated(t *testing.T) *inspector {
	t.Helper()
	b := newBench(t, func(c *Config) {
		c.Servers = func(context.Context) []api.Server {
			return []api.Server{{Addr: "127.0.0.1:11300", OK: true, Version: "1.12", ID: "x", Uptime: 3, Ready: 1, Memory: 4096}, {Addr: "b:1", Error: "refused"}}
		}
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
			_, _ = io.WriteString(w, "up 1\n")
		})
	})
	b.register(3)
	for _, s := range jobs.States {
		b.inState(s)
	}
	id := b.inState(jobs.Running)
	b.report(id, 0.5)
	b.count(id)
	vitals, err := httpio.Marshal(api.Vitals{
		At: time.Now(), CPUs: 2, Disks: []api.Disk{{Path: "/", Use: "data", Total: 9, Free: 1, Reusable: 1, Floor: 1}}, Battery: &api.Battery{Charge: 1},
		Processes: []api.Process{{Job: id, Attempt: 1, PID: 7, Name: "x", Started: time.Now()}},
		Warm: []api.WarmProcess{
			{Program: testProgram, PID: 8, Started: time.Now(), Jobs: 1, Job: id, Memory: 1}, {Program: testProgram, PID: 9, Started: time.Now()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	programs := []nodes.Program{{Name: testProgram, SHA256: "abc", Description: "d", Input: json.RawMessage(`{"type":"object"}`)}}
	if err := b.ledger.Nodes.Beat(t.Context(), testInstance, programs, 3, vitals); err != nil {
		t.Fatal(err)
	}
	if err := b.ledger.Activity.SampleDepth(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.registerAs("gone", "1")
	if err := b.ledger.Nodes.Leave(t.Context(), "gone-1"); err != nil {
		t.Fatal(err)
	}
	return newInspector(b)
}

// TestOpenAPIIsTrue sends good and bad requests to every operation of a node with real
// jobs.
func TestOpenAPIIsTrue(t *testing.T) {
	t.Parallel()
	i := populated(t)
	const api = "/api/v1"
	i.reads(api)
	i.changes(api)
	i.batches(api)
	i.loops(api)
	i.faults(api)
	for path, item := range described(t, false).Paths.Map() {
		for method, o := range item.Operations() {
			if !i.seen[o.OperationID] && !strings.Contains(path, "/results/") && o.OperationID != "followResult" && !strings.HasPrefix(o.OperationID, "followResultOf") {
				t.Errorf("%s %s has never answered well", method, path)
			}
		}
	}
}

func (i *inspector) reads(base string) {
	for _, back := range readmodel.Lookbacks {
		i.try(200, "GET", base+"/overview?range="+back.Name, "")
		i.try(200, "GET", base+"/programs/"+testProgram+"?range="+back.Name, "")
		i.try(200, "GET", base+"/counters?program="+testProgram+"&range="+back.Name, "")
		i.try(200, "GET", base+"/counters?node="+testNode+"&range="+back.Name, "")
	}
	png := jobs.Artifact{Name: "plot.png", URL: "http://127.0.0.1:8420/x", Size: 3, SHA256: strings.Repeat("a", 64)}
	done, _ := i.succeeded("[1]", png)
	if err := i.store.Create(context.Background(), store.FileKey(done, 1, png.Name), []byte("PNG")); err != nil {
		i.t.Fatal(err)
	}
	if err := i.store.Create(context.Background(), store.LogKey(done, 1), []byte("log\n")); err != nil {
		i.t.Fatal(err)
	}
	i.try(200, "GET", "/"+done+"/log?tail=2", "")
	i.try(200, "GET", "/"+done+"/files/plot.png", "")
	i.try(200, "GET", "/"+done+"/files.tar", "")
	for _, q := range []string{"", "?limit=2", "?state=failed", "?program=" + testProgram, "?node=" + testNode, "?label=a%3Db", "?text=forecast", "?since=2020-01-01T00:00:00Z&until=2099-01-01T00:00:00Z"} {
		i.try(200, "GET", base+"/jobs"+q, "")
	}
	for _, r := range decodeAs[api.Page](i.t, i.get(base+"/jobs")).Jobs {
		tag := i.try(200, "GET", base+"/jobs/"+r.ID, "").Header.Get("ETag")
		i.try(304, "GET", base+"/jobs/"+r.ID, "", "If-None-Match: "+tag)
		i.try(200, "GET", base+"/jobs/"+r.ID+"/series", "")
		status := 202
		if r.State.Final() {
			status = 200
		}
		i.try(status, "GET", "/"+r.ID, "")
		i.try(status, "GET", "/results/"+r.ID, "", "Accept: text/html")
	}
	tag := i.try(200, "GET", base+"/nodes/"+testNode, "").Header.Get("ETag")
	i.try(304, "GET", base+"/nodes/"+testNode, "", "If-None-Match: "+tag)
	for _, path := range []string{
		base + "/nodes", base + "/nodes?limit=1", base + "/nodes/gone", base + "/drain", base + "/programs", base + "/programs?limit=1", base + "/events", base + "/events?limit=1&by=machine&node=" + testNode,
		"/schema/job.json", "/schema/batch.json", "/schema/result.json", "/openapi.json", "/healthz", "/readyz", "/metrics",
	} {
		i.try(200, "GET", path, "")
	}
}

func (i *inspector) changes(api string) {
	i.try(201, "POST", api+"/jobs", goodJob, "Idempotency-Key: 1")
	i.try(200, "POST", api+"/jobs", goodJob, "Idempotency-Key: 1")
	i.try(422, "POST", api+"/jobs", `{"program":"forecast","input":{"data":2}}`, "Idempotency-Key: 1")
	whole := string(jobDocument(jobs.NewID(), ""))
	i.try(201, "POST", api+"/jobs", whole)
	i.try(409, "POST", api+"/jobs", strings.Replace(whole, `"data":1`, `"data":2`, 1))
	i.try(200, "POST", api+"/jobs", "["+goodJob+","+whole+","+strings.Replace(whole, `"data":1`, `"data":2`, 1)+"]", "Idempotency-Key: 3")
	i.try(422, "POST", api+"/jobs", "[]")
	failed := i.failed()
	i.try(201, "POST", api+"/jobs/"+failed+"/retry", `{"as_new":true}`, "Idempotency-Key: 2")
	i.try(200, "POST", api+"/jobs/"+failed+"/retry", `{"as_new":true}`, "Idempotency-Key: 2")
	for verb, state := range map[string]jobs.State{"cancel": jobs.Queued, "stop": jobs.Running, "terminate": jobs.Running, "retry": jobs.Failed, "reset": jobs.Queued} {
		id := i.inState(state)
		tag := i.get(api + "/jobs/" + id).Header.Get("ETag")
		i.try(412, "POST", api+"/jobs/"+id+"/"+verb, "", `If-Match: "1-1"`)
		i.try(202, "POST", api+"/jobs/"+id+"/"+verb, "", "If-Match: "+tag, "Idempotency-Key: "+id)
		i.try(409, "POST", api+"/jobs/"+i.inState(jobs.Succeeded)+"/"+verb, "")
		i.try(200, "POST", api+"/jobs/"+verb, `{"all":true,"dry_run":true}`)
		i.try(200, "POST", api+"/jobs/"+verb, `{"ids":["`+id+`","`+jobs.NewID()+`"]}`)
		i.try(200, "POST", api+"/jobs/"+verb, `{"program":"forecast","node":"node1","label":"a=b","text":"x","since":"2020-01-01T00:00:00Z","until":"2099-01-01T00:00:00Z","limit":3}`)
		i.try(422, "POST", api+"/jobs/"+verb, `{}`)
		i.try(413, "POST", api+"/jobs/"+verb, `{"text":"`+strings.Repeat("x", 64<<10)+`"}`)
	}
	i.deletes(api)
	i.checkpoints(api)
	i.try(200, "PATCH", api+"/nodes/"+testNode, `{"slots":2,"reason":"hot"}`)
	i.try(200, "GET", api+"/nodes/"+testNode, "")
	i.try(200, "PATCH", api+"/nodes/"+testNode, `{"slots":null}`)
	i.try(412, "PATCH", api+"/nodes/"+testNode, `{"slots":1}`, `If-Match: "1-1"`)
	for _, v := range operations.NodeVerbs {
		i.try(200, "POST", api+"/nodes/"+testNode+"/"+v.Name, "", "Idempotency-Key: "+v.Name)
		i.try(200, "POST", api+"/nodes/"+testNode+"/"+v.Name, `{"reason":"why"}`)
		i.try(412, "POST", api+"/nodes/"+testNode+"/"+v.Name, "", `If-Match: "1-1"`)
		i.try(404, "POST", api+"/nodes/nobody/"+v.Name, "")
		i.try(200, "GET", api+"/overview?range=15m", "")
	}
	i.try(409, "DELETE", api+"/nodes/"+testNode, "")
	i.try(200, "DELETE", api+"/nodes/gone", "")
	i.try(404, "DELETE", api+"/nodes/gone", "")
	i.try(200, "POST", api+"/drain", `{"node":"","reason":"why"}`)
	i.try(200, "POST", api+"/drain", `{"node":"`+testNode+`"}`)
	i.try(200, "GET", api+"/drain", "")
	i.try(200, "GET", api+"/overview?range=6h", "")
	i.try(200, "DELETE", api+"/drain?node=", "")
	i.try(404, "DELETE", api+"/drain?node=", "")
}

// batches submits batches, and reads frames.
func (i *inspector) batches(api string) {
	i.try(201, "POST", api+"/batches", goodBatch, "Idempotency-Key: 5")
	i.try(200, "POST", api+"/batches", goodBatch, "Idempotency-Key: 5")
	i.try(422, "POST", api+"/batches", `{"frames":"1-3"}`, "Idempotency-Key: 5")
	i.try(201, "POST", api+"/batches", `{"job":{"program":"forecast"},"frames":["1-3",4,{"number":5,"values":{"x":1},"needs":[4]}],"max_running":2,"bundle":{"program":"forecast"},
		"labels":{"a":"b"},"priority":1,"keep":"7d","webhook":"https://shop.example/hook","created":"2026-11-22T06:16:00Z"}`)
	i.try(201, "POST", api+"/batches", `{"job":{"program":"forecast"},"matrix":{"x":[1,2],"y":["a"]}}`)
	batch, open := i.batch("1-2"), i.batch("1-2")
	i.withFiles(i.frame(batch, 1), "plot.png")
	i.frame(batch, 2)
	i.ofBatch(batch, jobs.BundleID(batch), batches.Bundle)
	i.withFiles(jobs.BundleID(batch), "plot.png")
	for _, q := range []string{"", "?state=succeeded", "?first=1&last=2", "?limit=1", "?sort=time&limit=3", "?sort=number"} {
		i.try(200, "GET", api+"/jobs/"+batch+"/frames"+q, "")
	}
	i.try(400, "GET", api+"/jobs/"+batch+"/frames?x=1", "")
	i.try(404, "GET", api+"/jobs/"+i.queued("")+"/frames", "")
	for _, folder := range []string{"/", "/results/"} {
		i.try(409, "GET", folder+open+"/bundle.tar", "")
		i.try(404, "GET", folder+open+"/frames/1", "")
		i.try(404, "GET", folder+open+"/bundle", "")
		i.try(202, "GET", folder+batch+"/frames/2", "")
		for _, of := range []string{"/frames/1", "/bundle"} {
			for _, below := range []string{"", "/log?tail=2", "/files.tar", "/files/plot.png"} {
				i.try(200, "GET", folder+batch+of+below, "")
			}
		}
	}
	i.do(ledger.VerbCancel, jobs.FrameID(batch, 2))
	i.succeed(batch, 1, "{}")
	i.try(200, "GET", "/"+batch+"/bundle.tar", "")
	i.try(200, "GET", "/results/"+batch+"/bundle.tar", "")
}

// loops reads the runs of a loop, and ends it.
func (i *inspector) loops(api string) {
	first := i.queued(`"repeat":"10m"`)
	i.withFiles(first, "plot.png")
	for _, folder := range []string{"/", "/results/"} {
		i.try(202, "GET", folder+first+"/runs/2", "")
		i.try(404, "GET", folder+first+"/runs/3", "")
		i.try(200, "GET", folder+first+"/latest", "")
		for _, below := range []string{"", "/log?tail=2", "/files.tar", "/files/plot.png"} {
			i.try(200, "GET", folder+first+"/runs/1"+below, "")
		}
	}
	i.try(200, "GET", api+"/jobs/"+first, "")
	i.try(202, "POST", api+"/jobs/"+first+"/end-loop", "")
	i.try(200, "GET", api+"/jobs/"+first, "")
	i.try(409, "POST", api+"/jobs/"+i.queued("")+"/end-loop", "")
	i.try(422, "POST", api+"/jobs/"+first+"/end-loop", `{"x":1}`)
}

// deletes deletes jobs, and reads what is left.
// checkpoints asks programs for checkpoints, and reads what is kept.
func (i *inspector) checkpoints(api string) {
	id := i.inState(jobs.Running)
	i.try(409, "POST", api+"/jobs/"+id+"/checkpoint", "")
	i.able()
	i.saved(id)
	tag := i.get(api + "/jobs/" + id).Header.Get("ETag")
	i.try(412, "POST", api+"/jobs/"+id+"/checkpoint", "", `If-Match: "1-1"`)
	i.try(202, "POST", api+"/jobs/"+id+"/checkpoint", "", "If-Match: "+tag, "Idempotency-Key: "+id)
	i.try(409, "POST", api+"/jobs/"+i.inState(jobs.Succeeded)+"/checkpoint", "")
	i.try(200, "POST", api+"/jobs/checkpoint", `{"ids":["`+id+`","`+jobs.NewID()+`"]}`)
	i.try(200, "POST", api+"/jobs/checkpoint", `{"all":true,"dry_run":true}`)
	i.try(422, "POST", api+"/jobs/checkpoint", `{}`)
	i.try(200, "GET", api+"/jobs/"+id, "")
	i.try(200, "GET", api+"/nodes/"+testNode, "")
}

func (i *inspector) deletes(api string) {
	id, other, third := i.inState(jobs.Succeeded), i.inState(jobs.Failed), i.inState(jobs.Cancelled)
	i.try(412, "DELETE", api+"/jobs/"+id, "", `If-Match: "1-1"`)
	i.try(409, "DELETE", api+"/jobs/"+i.inState(jobs.Running), "")
	i.try(202, "DELETE", api+"/jobs/"+id, "")
	i.try(202, "POST", api+"/jobs/"+other+"/delete", "", "Idempotency-Key: "+other)
	i.try(200, "POST", api+"/jobs/delete", `{"ids":["`+third+`","`+id+`"]}`)
	for _, gone := range []string{id, other, third} {
		i.try(410, "GET", api+"/jobs/"+gone, "")
		i.try(410, "GET", "/"+gone, "")
		i.try(410, "GET", "/"+gone+"/log", "")
		i.try(410, "DELETE", api+"/jobs/"+gone, "")
		i.try(410, "POST", api+"/jobs/"+gone+"/retry", "")
	}
	i.try(409, "POST", api+"/jobs", string(jobDocument(id, "")))
}

// faults sends bad requests. Each answer must be a problem that the document describes.
func (i *inspector) faults(api string) {
	id, nobody := i.queued(""), jobs.NewID()
	long := strings.Repeat("x", httpio.MaxText+1)
	for _, test := range []struct {
		status         int
		method, target string
		body           string
		fields         []string
	}{
		{404, "GET", "/jobs/" + nobody, "", nil},
		{404, "GET", "/jobs/x", "", nil},
		{404, "GET", "/jobs/" + nobody + "/series", "", nil},
		{404, "GET", "/nodes/nobody", "", nil},
		{404, "GET", "/programs/nothing", "", nil},
		{400, "GET", "/overview?range=2h", "", nil},
		{400, "GET", "/counters", "", nil},
		{400, "GET", "/counters?program=P", "", nil},
		{400, "GET", "/counters?program=", "", nil},
		{400, "GET", "/counters?node=n1&range=2h", "", nil},
		{400, "GET", "/counters?node=n1&job=x", "", nil},
		{400, "GET", "/overview?x=1", "", nil},
		{400, "GET", "/jobs?state=done", "", nil},
		{400, "GET", "/jobs?state=failed&state=failed", "", nil},
		{400, "GET", "/jobs?limit=0", "", nil},
		{400, "GET", "/jobs?limit=1e3", "", nil},
		{400, "GET", "/jobs?cursor=x", "", nil},
		{400, "GET", "/jobs?since=now", "", nil},
		{400, "GET", "/jobs?until=yesterday", "", nil},
		{400, "GET", "/jobs?text=", "", nil},
		{400, "GET", "/jobs?text=" + long, "", nil},
		{400, "GET", "/jobs?node=%ff", "", nil},
		{400, "GET", "/jobs?label=x", "", nil},
		{400, "GET", "/jobs?program=..%2F", "", nil},
		{400, "GET", "/jobs?colour=red", "", nil},
		{400, "GET", "/jobs/" + id + "/series?x=1", "", nil},
		{400, "GET", "/nodes?name=x", "", nil},
		{400, "GET", "/nodes/" + testNode + "?x=1", "", nil},
		{400, "GET", "/programs?range=1h", "", nil},
		{400, "GET", "/programs/" + testProgram + "?range=", "", nil},
		{400, "GET", "/events?by=me", "", nil},
		{400, "GET", "/events?job=x", "", nil},
		{400, "GET", "/events?cursor=x", "", nil},
		{400, "GET", "/events?limit=1001", "", nil},
		{400, "GET", "/events?types=job", "", nil},
		{400, "DELETE", "/drain", "", nil},
		{400, "POST", "/jobs", "{", nil},
		{400, "POST", "/jobs", goodJob + goodJob, nil},
		{400, "POST", "/jobs", goodJob, []string{"Idempotency-Key: ü"}},
		{422, "POST", "/jobs", `{"program":"forecast","input":{"data":1},"colour":1}`, nil},
		{422, "POST", "/jobs", `{"program":7,"input":{"data":1}}`, nil},
		{413, "POST", "/jobs", `"` + strings.Repeat("x", jobs.MaxDocument) + `"`, nil},
		{415, "POST", "/jobs", goodJob, []string{"Content-Type: text/plain"}},
		{404, "POST", "/jobs/" + nobody + "/cancel", "", nil},
		{422, "POST", "/jobs/" + id + "/retry", `{"as_new":1}`, nil},
		{422, "POST", "/jobs/" + id + "/cancel", `{"as_new":true}`, nil},
		{415, "POST", "/jobs/" + id + "/cancel", `{}`, []string{"Content-Type: text/plain"}},
		{413, "POST", "/jobs/" + id + "/cancel", strings.Repeat(" ", httpio.MaxSmallBody+1), nil},
		{400, "POST", "/jobs/cancel", `[]`, nil},
		{422, "POST", "/jobs/cancel", `{"ids":["x"]}`, nil},
		{422, "POST", "/jobs/cancel", `{"all":true,"state":"queued"}`, nil},
		{422, "PATCH", "/nodes/" + testNode, `{"slots":-1}`, nil},
		{415, "PATCH", "/nodes/" + testNode, `{"slots":1}`, []string{"Content-Type: text/plain"}},
		{404, "PATCH", "/nodes/nobody", `{"slots":1}`, nil},
		{422, "POST", "/nodes/" + testNode + "/pause", `{"reason":7}`, nil},
		{404, "POST", "/drain", `{"node":"nobody"}`, nil},
		{422, "POST", "/drain", `{}`, nil},
		{403, "POST", "/jobs", goodJob, []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}},
	} {
		r := i.try(test.status, test.method, api+test.target, test.body, test.fields...)
		if r != nil && r.Header.Get("Content-Type") != httpio.TypeProblem {
			i.t.Errorf("%s %s: %v", test.method, test.target, r.Header)
		}
	}
}

// The test notices a document that describes less than a node answers.
func TestOpenAPITestIsStrict(t *testing.T) {
	t.Parallel()
	doc := described(t, true)
	schema := doc.Components.Schemas["Verdict"].Value
	for text, good := range map[string]bool{
		`{"level":"ok","text":"x","findings":[]}`:         true,
		`{"level":"ok","text":"x","findings":[],"new":1}`: false,
		`{"level":"ok","findings":[]}`:                    false,
		`{"level":"good","text":"x","findings":[]}`:       false,
	} {
		var v any
		if err := json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&v); err != nil {
			t.Fatal(err)
		}
		if err := schema.VisitJSON(v, openapi3.EnableJSONSchema2020()); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}
