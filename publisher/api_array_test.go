package publisher

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// postArray submits documents in one request.
func (b *bench) postArray(documents []string, fields ...string) *http.Response {
	b.t.Helper()
	return b.ask("POST", "/api/v1/jobs", "["+strings.Join(documents, ",\n")+"]", append(fields, jsonBody)...)
}

// statuses returns the status of each document of an answer.
func statuses(got api.Submitted) (list []int) {
	for _, job := range got.Jobs {
		list = append(list, job.Status)
	}
	return list
}

// TestPostArray checks that there is one commit and one answer to each document in order,
// and that a faulty document does not hold up the others.
func TestPostArray(t *testing.T) {
	t.Parallel()
	commits := 0
	b := newBench(t, func(c *Config) {
		record := c.Accept
		c.Accept = func(ctx context.Context, documents [][]byte, by string) ([]ledger.Accepted, error) {
			commits++
			return record(ctx, documents, by)
		}
	})
	known, other, fresh, deleted := jobs.NewID(), jobs.NewID(), jobs.NewID(), b.failed()
	if r := b.ask("POST", "/api/v1/jobs", string(jobDocument(known, "")), jsonBody); r.StatusCode != http.StatusCreated {
		t.Fatal(r.StatusCode)
	}
	b.ask("DELETE", "/api/v1/jobs/"+deleted, "", jsonBody)
	commits = 0
	r := b.postArray([]string{
		string(jobDocument(fresh, "")), goodJob, `{"program":"../x","input":{"data":1}}`, string(jobDocument(known, "")),
		strings.Replace(string(jobDocument(known, "")), known, other, -1), `"no job"`,
		`{"id":"` + jobs.NewID() + `","program":"forecast","input":{"data":1},"colour":1}`, string(jobDocument(deleted, "")),
	})
	got := decodeAs[api.Submitted](t, r)
	want := []int{201, 201, 422, 200, 201, 422, 422, 409}
	if r.StatusCode != 200 || fmt.Sprint(statuses(got)) != fmt.Sprint(want) || got.Refused != 4 || commits != 1 {
		t.Fatalf("%d %+v, %d commits, want %v", r.StatusCode, got, commits, want)
	}
	for i, job := range got.Jobs {
		switch {
		case job.Status >= 400:
			if job.Error == nil || job.Error.Status != job.Status || job.Error.Detail == "" || job.URL != "" || job.State != "" {
				t.Errorf("document %d: %+v", i, job)
			}
		case !jobs.ValidID(job.ID) || job.State != jobs.Queued || job.URL != "http://127.0.0.1:8420/"+job.ID || job.Error != nil:
			t.Errorf("document %d: %+v", i, job)
		default:
			if r := b.get("/" + job.ID); r.StatusCode != http.StatusAccepted {
				t.Errorf("document %d at its URL: %d", i, r.StatusCode)
			}
		}
	}
	if got.Jobs[0].ID != fresh || got.Jobs[2].Error.Pointer != "/program" || got.Jobs[6].Error.Pointer != "/colour" || !jobs.ValidID(got.Jobs[6].ID) {
		t.Errorf("%+v", got)
	}
	conflict := strings.Replace(string(jobDocument(known, "")), `"data":1`, `"data":"a secret"`, 1)
	got = decodeAs[api.Submitted](t, b.postArray([]string{conflict}))
	if p := got.Jobs[0].Error; p == nil || p.Status != 409 || p.Pointer != "/input/data" || strings.Contains(p.Detail, "secret") || got.Jobs[0].ID != known {
		t.Errorf("another input: %+v", got.Jobs[0])
	}
}

// TestPostArrayFaults checks what refuses an array as a whole.
func TestPostArrayFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	many := strings.Repeat(goodJob+",", api.MaxSubmitted)
	for name, test := range map[string]struct {
		body    string
		status  int
		pointer string
	}{
		"empty":          {"[]", 422, ""},
		"not JSON":       {"[" + goodJob, 400, ""},
		"more behind it": {"[" + goodJob + "]" + goodJob, 400, ""},
		"an array in it": {"[" + goodJob + ",[" + goodJob + "]]", 422, "/1"},
		"too many":       {"[" + many + goodJob + "]", 422, ""},
		"too large":      {"[" + goodJob + strings.Repeat(" ", jobs.MaxDocument) + "]", 413, ""},
		"too deep":       {strings.Repeat("[", 20_000), 422, "/0"},
		"deep inside":    {"[" + strings.Repeat(`{"a":`, 20_000), 400, ""},
	} {
		r := b.ask("POST", "/api/v1/jobs", test.body, jsonBody)
		p := decodeAs[jobs.Problem](t, r)
		if r.StatusCode != test.status || p.Status != test.status || p.Pointer != test.pointer || p.Detail == "" || len(p.Detail) > 500 {
			t.Errorf("%s: %d %+v, want %d at %q", name, r.StatusCode, p, test.status, test.pointer)
		}
	}
	counts, err := b.ledger.Activity.Counts(t.Context())
	if err != nil || counts[jobs.Queued] != 0 {
		t.Errorf("%v, %v; want no job", counts, err)
	}
	got := decodeAs[api.Submitted](t, b.ask("POST", "/api/v1/jobs", "["+many[:len(many)-1]+"]", jsonBody))
	if len(got.Jobs) != api.MaxSubmitted || got.Refused != 0 {
		t.Errorf("the most that is allowed: %d jobs, %d refused", len(got.Jobs), got.Refused)
	}
}

// TestIdempotentPostOfAnArray checks that the same request makes the same jobs, and that
// another request under the same key changes none of them.
func TestIdempotentPostOfAnArray(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const key = "Idempotency-Key: k"
	two := `{"program":"forecast","input":{"data":2}}`
	first := decodeAs[api.Submitted](t, b.postArray([]string{goodJob, two}, key))
	again := decodeAs[api.Submitted](t, b.postArray([]string{goodJob, two}, key))
	if fmt.Sprint(statuses(first), statuses(again)) != "[201 201] [200 200]" {
		t.Fatalf("%v, then %v", statuses(first), statuses(again))
	}
	for i := range first.Jobs {
		if first.Jobs[i].ID != again.Jobs[i].ID || first.Jobs[0].ID == first.Jobs[1].ID {
			t.Errorf("%+v, then %+v", first, again)
		}
	}
	other := decodeAs[api.Submitted](t, b.postArray([]string{two, two}, key))
	if p := other.Jobs[0].Error; p == nil || p.Status != 422 || !strings.Contains(p.Detail, "Idempotency-Key") || other.Jobs[1].Status != 200 {
		t.Errorf("another order: %+v", other)
	}
	if alone := decodeAs[jobs.Result](t, b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, key)); alone.ID == first.Jobs[0].ID {
		t.Error("a document alone is the first of the array")
	}
	if r := b.postArray([]string{goodJob}, "Idempotency-Key: "+strings.Repeat("k", 256)); r.StatusCode != 400 {
		t.Errorf("a key that is too long: %d", r.StatusCode)
	}
}

// holdable has a node refuse jobs, as while it is drained, as long as held is true.
func holdable(held *bool) func(*Config) {
	return func(c *Config) {
		record := c.Accept
		c.Accept = func(ctx context.Context, documents [][]byte, by string) ([]ledger.Accepted, error) {
			if *held {
				return nil, &heldIntake{time.Hour}
			}
			return record(ctx, documents, by)
		}
	}
}

// TestSubmittersPostArrays checks that a token learns nothing of another's job.
func TestSubmittersPostArrays(t *testing.T) {
	t.Parallel()
	held := false
	b, shop, blog, _ := submitters(t, holdable(&held))
	document := string(jobDocument(jobs.NewID(), ""))
	if got := decodeAs[api.Submitted](t, b.postArray([]string{document}, shop.bearer())); got.Jobs[0].Status != 201 {
		t.Fatalf("%+v", got)
	}
	got := decodeAs[api.Submitted](t, b.postArray([]string{goodJob, document}, blog.bearer()))
	if fmt.Sprint(statuses(got)) != "[201 409]" || got.Jobs[1].URL != "" || got.Jobs[1].State != "" || got.Jobs[1].Error.Pointer != "" {
		t.Errorf("another's job: %+v", got)
	}
	if r := b.postArray([]string{document}, "Authorization: Bearer guess"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong token: %d", r.StatusCode)
	}
	held = true
	r := b.postArray([]string{goodJob}, shop.bearer())
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("while it is drained: %d %v", r.StatusCode, r.Header)
	}
}
