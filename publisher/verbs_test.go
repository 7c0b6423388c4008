package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// inState makes a job in a state.
func (b *bench) inState(state jobs.State) string {
	b.t.Helper()
	switch state {
	case jobs.Waiting:
		return b.queued(`"needs":["` + b.queued("") + `"]`)
	case jobs.Queued:
		return b.queued("")
	case jobs.Running:
		id := b.queued("")
		b.running(id)
		return id
	case jobs.Succeeded:
		id, _ := b.succeeded("[1]")
		return id
	case jobs.Failed:
		return b.failed()
	}
	id := b.queued("")
	b.do(ledger.VerbCancel, id)
	return id
}

// TestVerbs applies each verb to a job in each state.
func TestVerbs(t *testing.T) {
	t.Parallel()
	const rerun = `POST {"as_new": true}`
	for verb, answers := range map[ledger.Verb]map[jobs.State]string{
		ledger.VerbCancel: {
			jobs.Waiting: "cancelled", jobs.Queued: "cancelled", jobs.Running: "running: is being cancelled",
			jobs.Succeeded: "409: " + rerun, jobs.Failed: "409: retry runs it again", jobs.Cancelled: "409: retry runs it again",
		},
		ledger.VerbStop: {
			jobs.Waiting: "409: use cancel", jobs.Queued: "409: use cancel", jobs.Running: "running: is being cancelled",
			jobs.Succeeded: "409: " + rerun, jobs.Failed: "409: retry runs it again", jobs.Cancelled: "409: retry runs it again",
		},
		ledger.VerbTerminate: {
			jobs.Waiting: "cancelled", jobs.Queued: "cancelled", jobs.Running: "running: is being terminated",
			jobs.Succeeded: "409: " + rerun, jobs.Failed: "409: retry runs it again", jobs.Cancelled: "409: retry runs it again",
		},
		ledger.VerbRetry: {
			jobs.Waiting: "409: use reset", jobs.Queued: "409: use reset", jobs.Running: "409: use reset",
			jobs.Succeeded: "409: " + rerun, jobs.Failed: "queued", jobs.Cancelled: "queued",
		},
		ledger.VerbReset: {
			jobs.Waiting: "waiting", jobs.Queued: "queued", jobs.Running: "running: is being reset",
			jobs.Succeeded: "409: " + rerun, jobs.Failed: "queued", jobs.Cancelled: "queued",
		},
		ledger.VerbCheckpoint: {
			jobs.Waiting: "409: only a running program", jobs.Queued: "409: only a running program", jobs.Running: "409: does not save a checkpoint on request",
			jobs.Succeeded: "409: " + rerun, jobs.Failed: "409: retry runs it again", jobs.Cancelled: "409: retry runs it again",
		},
		ledger.VerbDelete: {
			jobs.Waiting: "409: cancel it first", jobs.Queued: "409: cancel it first", jobs.Running: "409: cancel it first",
			jobs.Succeeded: "succeeded", jobs.Failed: "failed", jobs.Cancelled: "cancelled",
		},
	} {
		t.Run(string(verb), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			for state, want := range answers {
				id := b.inState(state)
				r := b.ask("POST", "/api/v1/jobs/"+id+"/"+string(verb), "")
				if got := spoken(t, r); !saysAsMuch(got, want) {
					t.Errorf("of a %s job: %q, want %q", state, got, want)
				}
			}
			if r := b.ask("POST", "/api/v1/jobs/"+jobs.NewID()+"/"+string(verb), ""); r.StatusCode != http.StatusNotFound {
				t.Errorf("of an unknown job: %d", r.StatusCode)
			}
		})
	}
}

// spoken shortens an answer about one job to its state and reason, or to what is wrong.
func spoken(t *testing.T, r *http.Response) string {
	t.Helper()
	if r.StatusCode != http.StatusAccepted {
		p := decodeAs[jobs.Problem](t, r)
		if r.Header.Get("Content-Type") != httpio.TypeProblem || p.Status != r.StatusCode {
			t.Errorf("%v %+v", r.Header, p)
		}
		return fmt.Sprintf("%d: %s", r.StatusCode, p.Detail)
	}
	got := decodeAs[jobs.Result](t, r)
	if got.Reason == "" {
		return string(got.State)
	}
	return string(got.State) + ": " + got.Reason
}

// saysAsMuch compares the word before the colon, and searches for the rest.
func saysAsMuch(got, want string) bool {
	gotWord, gotRest, _ := strings.Cut(got, ": ")
	wantWord, wantRest, _ := strings.Cut(want, ": ")
	return gotWord == wantWord && strings.Contains(gotRest, wantRest)
}

func TestVerbsAreAskedWithSense(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	failed := b.failed()
	for _, test := range []struct {
		name, path, body string
		fields           []string
		status           int
		detail           string
	}{
		{"no id", "/x/cancel", "", nil, 404, "UUID"},
		{"no such verb", "/" + failed + "/explode", "", nil, 404, ""},
		{"a body that says nothing", "/" + failed + "/cancel", "{}", []string{jsonBody}, 409, "retry"},
		{"blanks", "/" + failed + "/cancel", "  \n", []string{jsonBody}, 409, "retry"},
		{"as_new of another verb", "/" + failed + "/reset", `{"as_new":true}`, []string{jsonBody}, 422, "/as_new"},
		{"unknown member", "/" + failed + "/retry", `{"as_old":true}`, []string{jsonBody}, 422, "/as_old"},
		{"wrong kind", "/" + failed + "/retry", `{"as_new":"yes"}`, []string{jsonBody}, 422, "/as_new"},
		{"twice", "/" + failed + "/retry", `{"as_new":true,"as_new":true}`, []string{jsonBody}, 400, ""},
		{"two values", "/" + failed + "/retry", `{} {}`, []string{jsonBody}, 400, ""},
		{"no object", "/" + failed + "/retry", `null`, []string{jsonBody}, 400, "object"},
		{"not JSON", "/" + failed + "/retry", `{`, []string{jsonBody}, 400, ""},
		{"no type", "/" + failed + "/retry", `{"as_new":true}`, nil, 415, "application/json"},
		{"too large", "/" + failed + "/retry", strings.Repeat(" ", httpio.MaxSmallBody+1), []string{jsonBody}, 413, "bytes"},
	} {
		r := b.ask("POST", "/api/v1/jobs"+test.path, test.body, test.fields...)
		p := decodeAs[jobs.Problem](t, r)
		if r.StatusCode != test.status || p.Status != test.status || !strings.Contains(p.Detail, test.detail) || p.Title == "" {
			t.Errorf("%s: %d %+v, want %d with %q", test.name, r.StatusCode, p, test.status, test.detail)
		}
	}
	if r := b.get("/" + failed); decodeAs[jobs.Result](t, r).State != jobs.Failed {
		t.Error("one of these has changed the job")
	}
}

// TestRetryAtTheSameURL: a job that is retried is pending again for clients that ask, with
// or without a tag, and for those that listen. Then it succeeds and does not change.
func TestRetryAtTheSameURL(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	base, id := b.listen(), b.failed()
	before := b.get("/" + id)
	tag, since := before.Header.Get("ETag"), before.Header.Get("Last-Modified")
	if before.StatusCode != 200 || before.Header.Get("Cache-Control") != httpio.NoCache || tag == "" || since != "" {
		t.Fatalf("%d %v, want a tag alone: a second is too long for a date", before.StatusCode, before.Header)
	}
	if e, err := streamOf(t, base, id)(); err != nil || e.result(t).State != jobs.Failed {
		t.Fatalf("%+v %v", e, err)
	}
	if r := b.ask("POST", "/api/v1/jobs/"+id+"/retry", ""); r.StatusCode != http.StatusAccepted {
		t.Fatalf("retry: %d", r.StatusCode)
	}
	for name, r := range map[string]*http.Response{
		"with nothing": b.get("/" + id),
		"with its tag": b.get("/"+id, "If-None-Match: "+tag),
		"with a date":  b.get("/"+id, "If-Modified-Since: "+time.Now().UTC().Format(http.TimeFormat)),
		"as a page":    b.get("/"+id, "Accept: text/html"),
	} {
		if r.StatusCode != http.StatusAccepted || r.Header.Get("Cache-Control") != httpio.NoStore || r.Header.Get("ETag") == tag || r.Header.Get("Last-Modified") != "" {
			t.Errorf("%s: %d %v", name, r.StatusCode, r.Header)
		}
	}
	next := streamOf(t, base, id)
	e, err := next()
	if err != nil || e.result(t).State != jobs.Queued {
		t.Fatalf("a stream that begins now: %+v %v", e, err)
	}
	body := b.succeed(id, b.running(id), "[2]")
	for e.result(t).State != jobs.Succeeded {
		if e, err = next(); err != nil {
			t.Fatal(err)
		}
	}
	r := b.get("/"+id, "If-None-Match: "+tag)
	if got := bodyOf(t, r); r.StatusCode != 200 || got != string(body) || r.Header.Get("Cache-Control") != httpio.Immutable {
		t.Errorf("%d %v %s", r.StatusCode, r.Header, got)
	}
	d := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+id))
	if len(d.Attempts) != 2 || d.Attempts[0].Outcome != jobs.OutcomeFailed || d.Attempts[1].Outcome != jobs.OutcomeSucceeded {
		t.Errorf("attempts %+v", d.Attempts)
	}
}

func TestRetryAsNew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	need, _ := b.succeeded("[0]")
	old := b.queued(`"needs":["` + need + `"],"labels":{"meter":"42"},"priority":7,"timeout":"90m","expires":"2096-11-22T06:16:00Z"`)
	body := b.succeed(old, b.running(old), "[1]")
	r := b.ask("POST", "/api/v1/jobs/"+old+"/retry", `{"as_new":true}`, jsonBody)
	got := decodeAs[jobs.Result](t, r)
	if r.StatusCode != http.StatusCreated || got.ID == old || got.State != jobs.Queued || r.Header.Get("Location") != "http://127.0.0.1:8420/"+got.ID {
		t.Fatalf("%d %v %+v", r.StatusCode, r.Header, got)
	}
	before := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+old)).Job
	after := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+got.ID)).Job
	if after.RerunOf != old || !after.Expires.IsZero() || !after.Created.After(before.Created) {
		t.Errorf("the new document: %+v", after)
	}
	own := cmpopts.IgnoreFields(jobs.Job{}, "ID", "Result", "Created", "Expires", "RerunOf")
	if diff := cmp.Diff(before, after, own); diff != "" {
		t.Error(diff)
	}
	if again := bodyOf(t, b.get("/"+old)); again != string(body) {
		t.Errorf("the old result has changed: %s", again)
	}
	for id, want := range map[string]int{b.queued(""): 409, b.failed(): 201, jobs.NewID(): 404} {
		if r := b.ask("POST", "/api/v1/jobs/"+id+"/retry", `{"as_new":true}`, jsonBody); r.StatusCode != want {
			t.Errorf("%d %s, want %d", r.StatusCode, bodyOf(t, r), want)
		}
	}
}

// heldIntake is the error of a node that takes no jobs for a while.
type heldIntake struct{ retry time.Duration }

func (h *heldIntake) Error() string        { return "the queue is drained: the disks are changed" }
func (h *heldIntake) Retry() time.Duration { return h.retry }

func TestHeldIntakeSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	held := &heldIntake{}
	b := newBench(t, func(c *Config) {
		c.Accept = func(context.Context, [][]byte, string) ([]ledger.Accepted, error) {
			return nil, fmt.Errorf("accept: %w", held)
		}
	})
	done, _ := b.succeeded("[1]")
	for retry, want := range map[time.Duration]string{0: "1", 1500 * time.Millisecond: "2", 30 * time.Second: "30", 100 * time.Hour: "3600"} {
		held.retry = retry
		for path, body := range map[string]string{"/api/v1/jobs": goodJob, "/api/v1/jobs/" + done + "/retry": `{"as_new":true}`} {
			r := b.ask("POST", path, body, jsonBody)
			p := decodeAs[jobs.Problem](t, r)
			if r.StatusCode != 503 || r.Header.Get("Retry-After") != want || p.Status != 503 || p.Detail != held.Error() {
				t.Errorf("%s: %d %v %+v, want Retry-After %s", path, r.StatusCode, r.Header, p, want)
			}
		}
	}
}

// TestRefusals: every refusal of the ledger has a text that says what to do.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	lost := b.failed()
	dependent := b.queued(`"needs":["` + lost + `"]`) // fails at once
	faulty := jobs.NewID()
	_, err := b.ledger.Accept(t.Context(), []ledger.Entry{{
		Job: jobs.Job{ID: faulty, Program: testProgram}, Document: json.RawMessage(`{"id":"` + faulty + `"}`),
		Fault: &jobs.Error{Class: jobs.ClassDocument, Message: "input is missing"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ id, detail string }{
		{dependent, "which it needs, is failed, retry that first"},
		{faulty, "submit a corrected document under a new id"},
	} {
		r := b.ask("POST", "/api/v1/jobs/"+test.id+"/retry", "")
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 409 || !strings.Contains(p.Detail, test.detail) {
			t.Errorf("%d %+v, want %q", r.StatusCode, p, test.detail)
		}
	}
	r := b.ask("POST", "/api/v1/jobs/"+faulty+"/retry", `{"as_new":true}`, jsonBody)
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 422 || p.Detail == "" {
		t.Errorf("a faulty document as new: %d %+v", r.StatusCode, p)
	}
}
