package publisher

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestIdempotentPost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	post := func(key, body string) (*http.Response, string) {
		t.Helper()
		r := b.ask("POST", "/api/v1/jobs", body, jsonBody, "Idempotency-Key: "+key)
		if r.StatusCode >= 300 {
			return r, ""
		}
		return r, decodeAs[jobs.Result](t, r).ID
	}
	r, first := post("k 1", goodJob)
	if r.StatusCode != 201 || !jobs.ValidID(first) || !strings.HasSuffix(r.Header.Get("Location"), first) {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	if r, again := post("k 1", goodJob); r.StatusCode != 200 || again != first || !strings.HasSuffix(r.Header.Get("Location"), first) {
		t.Errorf("again: %d, job %s, want %s", r.StatusCode, again, first)
	}
	if r, other := post("k 2", goodJob); r.StatusCode != 201 || other == first {
		t.Errorf("another key: %d %s", r.StatusCode, other)
	}
	r, _ = post("k 1", strings.Replace(goodJob, `"data":`, `"data":[7],"x":`, 1))
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 422 || p.Pointer != "/input/x" {
		t.Errorf("a faulty body under the same key: %d %+v", r.StatusCode, p)
	}
	r, _ = post("k 1", `{"program":"forecast","input":{"data":"another"}}`)
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 422 || !strings.Contains(p.Detail, "Idempotency-Key") {
		t.Errorf("another body under the same key: %d %+v", r.StatusCode, p)
	}
	for _, key := range []string{"", strings.Repeat("k", 256), "ü", "a\tb"} {
		if r, _ := post(key, goodJob); r.StatusCode != 400 {
			t.Errorf("the key %q: %d", key, r.StatusCode)
		}
	}
	if r := b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, "Idempotency-Key: a", "Idempotency-Key: b"); r.StatusCode != 400 {
		t.Errorf("two keys: %d", r.StatusCode)
	}
}

// All at once, each with its own time of creation: one job.
func TestIdempotentPostsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var wg sync.WaitGroup
	ids := make([]string, 16)
	statuses := make([]int, 16)
	for i := range ids {
		wg.Go(func() {
			r := b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, "Idempotency-Key: k")
			statuses[i], ids[i] = r.StatusCode, decodeAs[jobs.Result](t, r).ID
		})
	}
	wg.Wait()
	created := 0
	for i := range ids {
		if statuses[i] == 201 {
			created++
		}
		if ids[i] != ids[0] {
			t.Errorf("%d %s, want %s", statuses[i], ids[i], ids[0])
		}
	}
	if created != 1 {
		t.Errorf("%d say that they have created it", created)
	}
}

func TestIdempotentRerun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := b.failed(), b.failed()
	rerun := func(id, key string) (int, string) {
		t.Helper()
		r := b.ask("POST", "/api/v1/jobs/"+id+"/retry", `{"as_new":true}`, jsonBody, "Idempotency-Key: "+key)
		return r.StatusCode, decodeAs[jobs.Result](t, r).ID
	}
	status, first := rerun(one, "k")
	if status != 201 {
		t.Fatal(status)
	}
	if status, again := rerun(one, "k"); status != 200 || again != first {
		t.Errorf("again: %d %s, want %s", status, again, first)
	}
	for name, got := range map[string]func() (int, string){
		"another key": func() (int, string) { return rerun(one, "l") },
		"another job": func() (int, string) { return rerun(two, "k") },
	} {
		if status, id := got(); status != 201 || id == first {
			t.Errorf("%s: %d %s", name, status, id)
		}
	}
}

func TestDerivedIDs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"a"}, {"a", "b"}, {"ab"}, {"a", "", "b"}, {"b", "a"}} {
		id := derivedID(parts...)
		if !jobs.ValidID(id) || seen[id] || id != derivedID(parts...) {
			t.Errorf("%q: %s", parts, id)
		}
		seen[id] = true
	}
	for i := range 1000 {
		if id := derivedID(fmt.Sprint(i)); !jobs.ValidID(id) {
			t.Fatal(id)
		}
	}
}
