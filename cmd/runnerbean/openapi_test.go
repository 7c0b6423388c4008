package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// reader asks a node that runs and holds its answers against the description
// that the node itself gives of them.
type reader struct {
	*process
	router routers.Router
}

func newReader(p *process) *reader {
	p.t.Helper()
	openapi3filter.RegisterBodyDecoder("application/schema+json", openapi3filter.JSONBodyDecoder)
	var document map[string]any
	if err := json.Unmarshal(p.read("/openapi.json"), &document); err != nil {
		p.t.Fatal(err)
	}
	document["servers"] = []any{map[string]any{"url": p.url}}
	text, err := json.Marshal(document)
	if err != nil {
		p.t.Fatal(err)
	}
	described, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		p.t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(described)
	if err != nil {
		p.t.Fatal(err)
	}
	return &reader{p, router}
}

// asks sends a request, and validates request and answer.
func (r *reader) asks(status int, method, target, body string) {
	r.t.Helper()
	request, err := http.NewRequest(method, r.url+target, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	route, params, err := r.router.FindRoute(request)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, target, err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if answer.StatusCode != status {
		r.t.Errorf("%s %s: %d %.300s, want %d", method, target, answer.StatusCode, text, status)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	err = openapi3filter.ValidateResponse(r.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: answer.StatusCode, Header: answer.Header,
		Body: io.NopCloser(bytes.NewReader(text)), Options: input.Options,
	})
	if err != nil {
		r.t.Errorf("%s %s: %d %.600s: %v", method, target, answer.StatusCode, text, err)
	}
}

// TestALiveNodeIsAsItDescribesItself validates all answers of a node while jobs run and
// after their ends.
func TestALiveNodeIsAsItDescribesItself(t *testing.T) {
	t.Parallel()
	p := startWorker(t)
	done, failed, runs := p.submit("echo", `{"a":1}`), p.submit("refuses", "1"), p.submit("hangs", "1")
	p.final(done)
	p.final(failed)
	p.until("progress", func() bool { r, ok := p.get(runs); return ok && r.Message == "holding on" })
	r := newReader(p)
	for _, target := range []string{
		"overview", "overview?range=30d", "jobs", "jobs?state=failed&limit=1", "nodes", "nodes/n1", "programs", "programs/echo", "events", "drain",
	} {
		r.asks(200, "GET", "/api/v1/"+target, "")
	}
	for _, url := range []string{done, failed, runs} {
		r.asks(200, "GET", "/api/v1/jobs/"+path.Base(url), "")
		r.asks(200, "GET", "/api/v1/jobs/"+path.Base(url)+"/series", "")
	}
	r.asks(200, "GET", "/"+path.Base(done), "")
	r.asks(202, "GET", "/"+path.Base(runs), "")
	r.asks(404, "GET", "/api/v1/nodes/nobody", "")
	r.asks(422, "POST", "/api/v1/jobs", `{"program":"nothing","input":{"data":1}}`)
	r.asks(201, "POST", "/api/v1/jobs", `{"program":"echo","input":{"data":1}}`)
	r.asks(200, "POST", "/api/v1/nodes/n1/pause", `{"reason":"a test"}`)
	r.asks(200, "POST", "/api/v1/nodes/n1/resume", `{}`)
	r.asks(200, "PATCH", "/api/v1/nodes/n1", `{"slots":3}`)
	r.asks(202, "POST", "/api/v1/jobs/"+path.Base(runs)+"/cancel", "")
	p.final(runs)
	r.asks(409, "POST", "/api/v1/jobs/"+path.Base(runs)+"/cancel", "")
	r.asks(200, "POST", "/api/v1/jobs/retry", `{"state":"failed","dry_run":true}`)
}

func (p *process) read(target string) []byte {
	p.t.Helper()
	answer, err := http.Get(p.url + target)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}
