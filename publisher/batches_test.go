package publisher

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

const goodBatch = `{"frames":"1-3","job":{"program":"forecast","input":{"data":{"n":"${frame}"}}},"labels":{"film":"forest"}}`

// TestPostBatch submits batches that are written in one object.
func TestPostBatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	post := func(body string, fields ...string) *http.Response {
		t.Helper()
		return b.ask("POST", "/api/v1/batches", body, append(fields, jsonBody)...)
	}
	r := post(goodBatch, "Idempotency-Key: k")
	first := decodeAs[jobs.Result](t, r)
	if r.StatusCode != 201 || first.Program != jobs.BatchProgram || r.Header.Get("Location") != "http://127.0.0.1:8420/"+first.ID {
		t.Fatalf("%d %v %+v", r.StatusCode, r.Header, first)
	}
	rec, err := b.ledger.Get(t.Context(), first.ID)
	if err != nil || rec.Labels["film"] != "forest" {
		t.Fatal(err, rec)
	}
	job, err := jobdoc.Decode(rec.Document)
	if err != nil {
		t.Fatal(err)
	}
	if _, frames, err := jobdoc.Batch(&job, nil); err != nil || frames.Len() != 3 {
		t.Errorf("%v in %s", err, rec.Document)
	}
	if r := post(goodBatch, "Idempotency-Key: k"); r.StatusCode != 200 || decodeAs[jobs.Result](t, r).ID != first.ID {
		t.Errorf("again: %d", r.StatusCode)
	}
	if r := post(strings.Replace(goodBatch, `"1-3"`, `"1-4"`, 1), "Idempotency-Key: k"); r.StatusCode != 422 {
		t.Errorf("another batch under the same key: %d", r.StatusCode)
	}
	whole := `{"id":"` + jobs.NewID() + `","max_running":2,"keep":"7d","priority":3,` + goodBatch[1:]
	for _, want := range []int{201, 200} {
		if r := post(whole, "Prefer: return=minimal"); r.StatusCode != want {
			t.Errorf("%d %s, want %d", r.StatusCode, bodyOf(t, r), want)
		}
	}
	r = post(strings.Replace(whole, `"1-3"`, `"1-4"`, 1))
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 409 || p.Pointer != "/frames" || strings.Contains(p.Detail, "input") {
		t.Errorf("another batch under the same id: %d %+v", r.StatusCode, p)
	}
}

// TestPostBatchFaults checks that faults are where they are in the body.
func TestPostBatchFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, test := range map[string]struct {
		body            string
		status          int
		pointer, detail string
	}{
		"no JSON":            {"{", 400, "", ""},
		"an array":           {"[" + goodBatch + "]", 422, "", "object"},
		"empty":              {"{}", 422, "", "the document"},
		"program":            {`{"program":"x",` + goodBatch[1:], 422, "/program", "program"},
		"input":              {`{"input":{"data":1},` + goodBatch[1:], 422, "/input", "input"},
		"unknown":            {`{"colour":1,` + goodBatch[1:], 422, "/colour", "colour"},
		"priority":           {`{"priority":"x",` + goodBatch[1:], 422, "/priority", "priority"},
		"max_running":        {`{"max_running":0,` + goodBatch[1:], 422, "/max_running", "max_running must"},
		"a frame":            {strings.Replace(goodBatch, `"1-3"`, `[1,2,3,"x"]`, 1), 422, "/frames/3", "frames[3] "},
		"program of a frame": {strings.Replace(goodBatch, `"forecast"`, `"../x"`, 1), 422, "/job/program", "job.program "},
		"a name":             {strings.Replace(goodBatch, `${frame}`, `${colour}`, 1), 422, "/job/input/data", "frame 1: "},
		"id of a frame":      {strings.Replace(goodBatch, `"program"`, `"id":"x","program"`, 1), 422, "/job/id", "job.id "},
		"no job":             {`{"frames":"1"}`, 422, "", "job"},
		"no frames":          {`{"job":{"program":"x"}}`, 422, "", "frames"},
		"too large":          {`{"job":"` + strings.Repeat("x", jobs.MaxDocument) + `"}`, 413, "", ""},
	} {
		r := b.ask("POST", "/api/v1/batches", test.body, jsonBody)
		p := decodeAs[jobs.Problem](t, r)
		if r.StatusCode != test.status || p.Pointer != test.pointer || !strings.Contains(p.Detail, test.detail) || strings.Contains(p.Detail, "input.data.job") || strings.Contains(p.Detail, "input.data.frames") {
			t.Errorf("%s: %d %+v, want %d at %q", name, r.StatusCode, p, test.status, test.pointer)
		}
	}
	if r := b.ask("POST", "/api/v1/batches", goodBatch, "Content-Type: text/plain"); r.StatusCode != 415 {
		t.Errorf("as text: %d", r.StatusCode)
	}
	counts, err := b.ledger.Activity.Counts(t.Context())
	if err != nil || counts[jobs.Queued] != 0 {
		t.Errorf("%v, %v; want no job", counts, err)
	}
}

// TestBatchesOfSubmitters checks that a token with the role submit may put batches, and read the
// frames of its own only.
func TestBatchesOfSubmitters(t *testing.T) {
	t.Parallel()
	b, shop, blog, _ := submitters(t)
	r := b.ask("POST", "/api/v1/batches", goodBatch, jsonBody, shop.bearer())
	id := decodeAs[jobs.Result](t, r).ID
	if r.StatusCode != 201 {
		t.Fatal(r.StatusCode)
	}
	if r := b.ask("POST", "/api/v1/batches", `{"id":"`+id+`",`+goodBatch[1:], jsonBody, blog.bearer()); r.StatusCode != 409 {
		t.Errorf("under the id of another token's batch: %d", r.StatusCode)
	}
	for _, test := range []struct {
		field string
		want  int
	}{{shop.bearer(), 200}, {blog.bearer(), 404}, {"X: y", 401}} {
		if r := b.get("/api/v1/jobs/"+id+"/frames", test.field); r.StatusCode != test.want {
			t.Errorf("%d, want %d", r.StatusCode, test.want)
		}
	}
	if r := b.ask("POST", "/api/v1/batches", goodBatch, jsonBody); r.StatusCode != 401 {
		t.Errorf("without a token: %d", r.StatusCode)
	}
	var none json.RawMessage
	if none = decodeAs[json.RawMessage](t, b.get("/api/v1/jobs/"+id+"/frames", shop.bearer())); string(none) != `{"frames":[]}` {
		t.Errorf("before there are frames: %s", none)
	}
}
