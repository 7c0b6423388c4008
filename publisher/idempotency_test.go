package publisher

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
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

// Requests at the same time, each with its own time of creation, make one job.
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

// The id of a job gives access to its result: it must not follow from a guessed key and
// the name of a token.
func TestIDsMadeOfKeysAreSecret(t *testing.T) {
	t.Parallel()
	one, _, otto := newGuarded(t)
	two, _, namesake := newGuarded(t)
	post := func(b *bench, as string) string {
		r := b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, "Idempotency-Key: order-1", as)
		return decodeAs[jobs.Result](t, r).ID
	}
	id := post(one, otto.bearer())
	if again := post(one, otto.cookie()); !jobs.ValidID(id) || again != id {
		t.Errorf("the same person gets the jobs %s and %s", id, again)
	}
	if other := post(two, namesake.bearer()); other == id || !jobs.ValidID(other) {
		t.Errorf("another token of the same name makes the same id %s", other)
	}
}

// Under one key a verb is applied once, even if the job has changed since.
func TestIdempotentVerbs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(1)
	id := b.failed()
	for _, test := range []struct{ path, body, other string }{
		{"/api/v1/jobs/" + id + "/retry", "", `{"as_new":false}`},
		{"/api/v1/jobs/cancel", `{"program":"forecast"}`, `{"all":true}`},
		{"/api/v1/nodes/" + testNode + "/pause", `{"reason":"hot"}`, ""},
		{"/api/v1/nodes/" + testNode + "/drain", "", `{"reason":"hot"}`},
		{"/api/v1/drain", `{"node":""}`, `{"node":"node1"}`},
	} {
		key := "Idempotency-Key: " + test.path
		first := b.ask("POST", test.path, test.body, jsonBody, key)
		text := bodyOf(t, first)
		if first.StatusCode >= 300 || first.Header.Get("Idempotency-Replayed") != "" {
			t.Fatalf("%s: %d %s", test.path, first.StatusCode, text)
		}
		events := len(decodeAs[api.EventPage](t, b.get("/api/v1/events")).Events)
		again := b.ask("POST", test.path, test.body, jsonBody, key)
		if got := bodyOf(t, again); again.StatusCode != first.StatusCode || got != text || again.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s again: %d %s, want %s", test.path, again.StatusCode, got, text)
		}
		if n := len(decodeAs[api.EventPage](t, b.get("/api/v1/events")).Events); n != events {
			t.Errorf("%s again: %d events, before %d", test.path, n, events)
		}
		if r := b.ask("POST", test.path, test.other, jsonBody, key); r.StatusCode != 422 {
			t.Errorf("%s with another body: %d", test.path, r.StatusCode)
		}
	}
	refused := func() int {
		return b.ask("POST", "/api/v1/jobs/"+jobs.NewID()+"/cancel", "", "Idempotency-Key: new").StatusCode
	}
	if one, two := refused(), refused(); one != 404 || two != 404 {
		t.Errorf("what was refused is remembered: %d, %d", one, two)
	}
}

func TestTwoRequestsWithOneKeyAtOnce(t *testing.T) {
	t.Parallel()
	var b *bench
	begun, end := make(chan struct{}), make(chan struct{})
	b = newBench(t, func(c *Config) {
		act := c.Act
		c.Act = func(ctx context.Context, verb ledger.Verb, by string, targets []ledger.Target) ([]ledger.Acted, error) {
			close(begun)
			<-end
			return act(ctx, verb, by, targets)
		}
	})
	id := b.queued("")
	first := make(chan int)
	go func() {
		first <- b.ask("POST", "/api/v1/jobs/"+id+"/cancel", "", "Idempotency-Key: k").StatusCode
	}()
	<-begun
	if r := b.ask("POST", "/api/v1/jobs/"+id+"/cancel", "", "Idempotency-Key: k"); r.StatusCode != 409 {
		t.Errorf("while the first is under way: %d", r.StatusCode)
	}
	close(end)
	if status := <-first; status != 202 {
		t.Errorf("the first: %d", status)
	}
	if r := b.ask("POST", "/api/v1/jobs/"+id+"/cancel", "", "Idempotency-Key: k"); r.StatusCode != 202 {
		t.Errorf("after it: %d", r.StatusCode)
	}
}
