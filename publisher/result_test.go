package publisher

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// sized is a result of some size that compresses.
func sized(n int) string { return "[" + strings.Repeat("1.25,", n) + "0]" }

func TestGetSuccess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, body := b.succeeded(sized(1000))
	for _, path := range []string{"/" + id, "/results/" + id} {
		for _, warm := range []bool{false, true} {
			r := b.get(path)
			got := bodyOf(t, r)
			if r.StatusCode != http.StatusOK || got != string(body) {
				t.Errorf("%s, warm %v: %d, %d bytes", path, warm, r.StatusCode, len(got))
			}
			for name, want := range map[string]string{
				"Content-Type": httpio.TypeJSON, "Cache-Control": httpio.Immutable, "Vary": "Accept-Encoding, Accept",
				"Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": "no-referrer", "Accept-Ranges": "bytes", "Content-Security-Policy": httpio.PlainPolicy,
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s, warm %v: %s is %q, want %q", path, warm, name, got, want)
				}
			}
			if r.Header.Get("Last-Modified") == "" || !strings.HasPrefix(r.Header.Get("ETag"), `"`) {
				t.Errorf("no validators in %v", r.Header)
			}
		}
	}
}

// conditional is one request for a result that is there, and what comes.
type conditional struct {
	name, method string
	fields       []string
	status       int
	length       string // Content-Length
}

func TestConditionalRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, body := b.succeeded(sized(1000))
	first := b.get("/" + id)
	etag, modified := first.Header.Get("ETag"), first.Header.Get("Last-Modified")
	packed := b.get("/"+id, "Accept-Encoding: gzip")
	gzipTag := packed.Header.Get("ETag")
	if gzipTag == etag || gzipTag == "" {
		t.Errorf("the gzip form has the tag %s, the plain one %s", gzipTag, etag)
	}
	whole := first.Header.Get("Content-Length")
	past := time.Now().Add(-24 * time.Hour).UTC().Format(http.TimeFormat)
	future := time.Now().Add(24 * time.Hour).UTC().Format(http.TimeFormat)
	for _, test := range []conditional{
		{"head", "HEAD", nil, 200, whole},
		{"tag", "GET", []string{"If-None-Match: " + etag}, 304, ""},
		{"head tag", "HEAD", []string{"If-None-Match: " + etag}, 304, ""},
		{"weak tag", "GET", []string{"If-None-Match: W/" + etag}, 304, ""},
		{"tag in a list", "GET", []string{`If-None-Match: "x", ` + etag}, 304, ""},
		{"tag in lines", "GET", []string{`If-None-Match: "x"`, "If-None-Match: " + etag}, 304, ""},
		{"tag of the other form", "GET", []string{"If-None-Match: " + gzipTag}, 304, ""},
		{"any", "GET", []string{"If-None-Match: *"}, 304, ""},
		{"other tag", "GET", []string{`If-None-Match: "x"`}, 200, whole},
		{"other tag wins over the date", "GET", []string{`If-None-Match: "x"`, "If-Modified-Since: " + modified}, 200, whole},
		{"date", "GET", []string{"If-Modified-Since: " + modified}, 304, ""},
		{"later date", "GET", []string{"If-Modified-Since: " + future}, 304, ""},
		{"past date", "GET", []string{"If-Modified-Since: " + past}, 200, whole},
		{"no date", "GET", []string{"If-Modified-Since: yesterday"}, 200, whole},
		{"match", "GET", []string{"If-Match: " + etag}, 200, whole},
		{"no match", "GET", []string{`If-Match: "x"`}, 412, ""},
		{"unmodified", "GET", []string{"If-Unmodified-Since: " + past}, 412, ""},
		{"range", "GET", []string{"Range: bytes=0-9"}, 206, "10"},
		{"range of the end", "GET", []string{"Range: bytes=-5"}, 206, "5"},
		{"range with gzip", "GET", []string{"Range: bytes=0-9", "Accept-Encoding: gzip"}, 206, "10"},
		{"range too far", "GET", []string{"Range: bytes=999999-"}, 416, ""},
		{"if-range", "GET", []string{"Range: bytes=0-9", "If-Range: " + etag}, 206, "10"},
		{"if-range of another", "GET", []string{"Range: bytes=0-9", `If-Range: "x"`}, 200, whole},
		{"gzip", "GET", []string{"Accept-Encoding: gzip, br"}, 200, packed.Header.Get("Content-Length")},
		{"no gzip", "GET", []string{"Accept-Encoding: gzip;q=0"}, 200, whole},
		{"json", "GET", []string{"Accept: application/json"}, 200, whole},
	} {
		r := b.ask(test.method, "/"+id, "", test.fields...)
		got := bodyOf(t, r)
		if r.StatusCode != test.status || test.length != "" && r.Header.Get("Content-Length") != test.length {
			t.Errorf("%s: %d, length %s; want %d, %s", test.name, r.StatusCode, r.Header.Get("Content-Length"), test.status, test.length)
		}
		if (test.method == "HEAD" || test.status == 304) && got != "" {
			t.Errorf("%s: a body came: %q", test.name, got)
		}
		if r.StatusCode == 304 && (r.Header.Get("ETag") == "" || r.Header.Get("Cache-Control") != httpio.Immutable) {
			t.Errorf("%s: a 304 with %v", test.name, r.Header)
		}
	}
	if got := unpack(t, packed.Body); !bytes.Equal(got, body) || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Error("the gzip form is not the result")
	}
}

func unpack(t *testing.T, r io.Reader) []byte {
	t.Helper()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLargeResultIsStreamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, body := b.succeeded(sized((1 << 20) / 4))
	r := b.get("/" + id)
	if got := bodyOf(t, r); got != string(body) || r.Header.Get("Cache-Control") != httpio.Immutable {
		t.Errorf("%d bytes, want %d; %v", len(got), len(body), r.Header)
	}
	etag := r.Header.Get("ETag")
	packed := b.get("/"+id, "Accept-Encoding: gzip")
	if got := unpack(t, packed.Body); !bytes.Equal(got, body) {
		t.Error("the gzip form is not the result")
	}
	for _, test := range []conditional{
		{"tag", "GET", []string{"If-None-Match: " + etag}, 304, ""},
		{"gzip tag", "GET", []string{"Accept-Encoding: gzip", "If-None-Match: " + packed.Header.Get("ETag")}, 304, ""},
		{"gzip date", "GET", []string{"Accept-Encoding: gzip", "If-Modified-Since: " + r.Header.Get("Last-Modified")}, 304, ""},
		{"gzip head", "HEAD", []string{"Accept-Encoding: gzip"}, 200, ""},
		{"range", "GET", []string{"Range: bytes=5-9", "Accept-Encoding: gzip"}, 206, "5"},
	} {
		if r := b.ask(test.method, "/"+id, "", test.fields...); r.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", test.name, r.StatusCode, test.status)
		}
	}
	if r := b.get("/"+id, "Accept: text/html"); r.StatusCode != 200 {
		t.Errorf("the page of a large result: %d", r.StatusCode)
	}
}

func TestPendingDocuments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alone := b.queued("")
	r := decodeAs[jobs.Result](t, b.get("/"+alone))
	if want := `no node that is up has the program "forecast"`; r.Reason != want {
		t.Errorf("reason %q, want %q", r.Reason, want)
	}
	b.register(1)
	b.p.forget()
	busy, second := b.queued(""), b.queued("")
	b.running(alone)
	progress := 0.5
	err := b.ledger.Report(t.Context(), alone, 1, ledger.Live{
		Progress: &progress, Message: "week 3", Counters: map[string]float64{"records": 12}, Partial: json.RawMessage(`{"a":[1]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	delayed := b.queued(`"not_before":"` + later.Format(time.RFC3339) + `"`)
	waiting := b.queued(`"needs":["` + alone + `"]`)
	zero, one := 0, 1
	for name, test := range map[string]struct {
		id, retry string
		want      jobs.Result
	}{
		"running": {alone, "1", jobs.Result{
			State: jobs.Running, Attempt: 1, Node: testNode, Progress: &progress, Message: "week 3",
			Counters: map[string]float64{"records": 12}, Partial: json.RawMessage(`{"a":[1]}`),
		}},
		"first":   {busy, "1", jobs.Result{State: jobs.Queued, Position: &zero, Reason: "the only slot of node1 is busy"}},
		"second":  {second, "2", jobs.Result{State: jobs.Queued, Position: &one, Reason: "the only slot of node1 is busy; 1 job comes before it"}},
		"delayed": {delayed, "10", jobs.Result{State: jobs.Queued, NotBefore: later, Reason: "starts not before " + later.Format(time.RFC3339)}},
		"waiting": {waiting, "5", jobs.Result{State: jobs.Waiting, Reason: "waits for the jobs that it needs: " + alone + " (running)"}},
	} {
		resp := b.get("/" + test.id)
		if resp.StatusCode != http.StatusAccepted || resp.Header.Get("Cache-Control") != httpio.NoStore || resp.Header.Get("Retry-After") != test.retry {
			t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
		got := decodeAs[jobs.Result](t, resp)
		if age := time.Since(got.Timestamp); age < 0 || age > time.Minute {
			t.Errorf("%s: timestamp %v", name, got.Timestamp)
		}
		test.want.ID, test.want.Program, test.want.Timestamp = test.id, testProgram, got.Timestamp
		test.want.Created, test.want.Started = time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC), got.Started
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: -want +got %s", name, diff)
		}
	}
}

func TestEndsOtherThanSuccess(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cancelled := b.queued("")
	b.do(ledger.VerbCancel, cancelled)
	for id, state := range map[string]jobs.State{b.failed(): jobs.Failed, cancelled: jobs.Cancelled} {
		r := b.get("/" + id)
		body := bodyOf(t, r)
		if r.StatusCode != 200 || r.Header.Get("Cache-Control") != httpio.NoCache || r.Header.Get("ETag") == "" {
			t.Errorf("%s: %d %v", state, r.StatusCode, r.Header)
		}
		var got jobs.Result
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if got.State != state || got.Error == nil || got.Error.Message == "" || got.Timestamp.IsZero() || !got.Timestamp.Equal(got.Finished) {
			t.Errorf("got %s", body)
		}
		if again := bodyOf(t, b.get("/"+id)); again != body {
			t.Errorf("the bytes differ: %s, %s", body, again)
		}
		if r := b.get("/"+id, "If-None-Match: "+r.Header.Get("ETag")); r.StatusCode != 304 {
			t.Errorf("%s with its tag: %d", state, r.StatusCode)
		}
	}
}

func TestUnknownJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.get("/" + jobs.NewID())
	p := decodeAs[jobs.Problem](t, r)
	if p.Status != 404 || r.StatusCode != 404 || r.Header.Get("Content-Type") != httpio.TypeProblem || r.Header.Get("Retry-After") != "1" {
		t.Errorf("a new id: %+v %v", p, r.Header)
	}
	if r := b.get("/0190163d-8694-739b-aea5-966c26f8ad91"); r.StatusCode != 404 || r.Header.Get("Retry-After") != "" {
		t.Errorf("an old id: %d %v", r.StatusCode, r.Header)
	}
}

func TestResultThatOnlyTheStoreKnows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	small, large := jobs.NewID(), jobs.NewID()
	for id, body := range map[string]string{small: `{"id":"` + small + `"}`, large: sized((1 << 20) / 4)} {
		if err := b.store.Create(t.Context(), store.ResultKey(id), []byte(body)); err != nil {
			t.Fatal(err)
		}
		if r := b.get("/" + id); r.StatusCode != 200 || bodyOf(t, r) != body {
			t.Errorf("%s: %d", id, r.StatusCode)
		}
	}
}

func TestRecordedResultThatTheStoreHasLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded("1")
	if err := b.store.Delete(t.Context(), store.ResultKey(id)); err != nil {
		t.Fatal(err)
	}
	r := b.get("/" + id)
	p := decodeAs[jobs.Problem](t, r)
	if r.StatusCode != 503 || r.Header.Get("Retry-After") != "60" || !strings.HasPrefix(p.Instance, "urn:uuid:") || !strings.Contains(p.Detail, "its result is missing from the store") {
		t.Errorf("%d %+v", r.StatusCode, p)
	}
	if line := b.logged.String(); !strings.Contains(line, httpio.ErrMissing.Error()) || !strings.Contains(line, strings.TrimPrefix(p.Instance, "urn:uuid:")) {
		t.Errorf("the log has %q", line)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded(`{"a":"</script><script>alert(1)</script>"}`)
	if err := b.store.Replace(t.Context(), store.LogKey(id, 1), []byte("<b>log</b>\n")); err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]int{"/" + id: 200, "/" + b.failed(): 200, "/" + b.queued(""): 202} {
		for range 2 {
			r := b.get(path, asBrowser)
			got := bodyOf(t, r)
			if r.StatusCode != status || r.Header.Get("Content-Type") != typeHTML || r.Header.Get("Content-Security-Policy") != resultPolicy {
				t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
			}
			if strings.Contains(got, "<script>alert") || strings.Contains(got, "<b>log") {
				t.Errorf("%s is open to markup", path)
			}
			if strings.Contains(path, id) && !strings.Contains(r.Header.Get("Vary"), "Accept") {
				t.Errorf("%s: Vary is %q", path, r.Header.Get("Vary"))
			}
		}
	}
	if r := b.get("/" + id + "?format=html"); r.Header.Get("Content-Type") != typeHTML {
		t.Errorf("format=html gives %s", r.Header.Get("Content-Type"))
	}
	if r := b.get("/"+id+"?format=json", "Accept: text/html"); r.Header.Get("Content-Type") != httpio.TypeJSON {
		t.Errorf("format=json gives %s", r.Header.Get("Content-Type"))
	}
}

// TestPathsThatOnlyLookLikeAResult: a path is not decoded before it is taken
// apart.
func TestPathsThatOnlyLookLikeAResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded(sized(10))
	for range 2 { // from the store, from memory
		for _, path := range []string{
			"/results%2f" + id, "/results%2F" + id, "/results%252f" + id, "/%2f" + id, "/%2F" + id, "/results/%2f" + id, "/results/" + id + "%2f", "/" + id + "%2F",
			"/" + id + "//", "/results/" + id + "//", "/" + id[1:] + "/", "/" + strings.ToUpper(id[1:]), "/g" + id[1:] + "/", "//" + id, "//results/" + id, "/results//" + id, "/./" + id, "/results/./" + id, "/x/../" + id, "/results/../" + id,
			"/%2e/" + id, "/results/%2e%2e/" + id, "/" + id + ";x=1", "/" + id + "%00", "/" + id + "%20", "/" + id + "%0a", "/" + strings.ReplaceAll(id, "-", "%252d"),
			"/results%5c" + id, "/" + strings.ToUpper(id) + "%2F", "/" + strings.ToUpper(id) + ";x", "/" + id + "%2flog", "/" + id + "%2fevents", "/RESULTS/" + id, "/" + strings.ReplaceAll(id, "-", "%2d"), "/%72esults/" + id,
		} {
			if r := b.get(path); r.StatusCode != http.StatusNotFound || r.Header.Get("Content-Type") != httpio.TypeProblem {
				t.Errorf("%s: %d %s", path, r.StatusCode, r.Header.Get("Content-Type"))
			}
		}
		for _, path := range []string{"/" + id, "/results/" + id} {
			if r := b.get(path); r.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", path, r.StatusCode)
			}
		}
	}
}

// TestOtherSpellingsOfAnIDRedirect follows URLs with upper-case letters or a slash at the
// end, below a path that a proxy has removed, too.
func TestOtherSpellingsOfAnIDRedirect(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded(sized(10))
	upper, mixed := strings.ToUpper(id), strings.ToUpper(id[:18])+id[18:]
	if mixed == id {
		mixed = upper
	}
	for path, want := range map[string]string{
		"/" + id + "/": "/" + id,
		"/" + upper:    "/" + id,
		"/" + upper + "/?x=%2f&expires=1&signature=aB%3D": "/" + id + "?x=%2f&expires=1&signature=aB%3D",
		"/" + mixed + "/log?tail=2":                       "/" + id + "/log?tail=2",
		"/" + upper + "/events":                           "/" + id + "/events",
		"/" + upper + "/files/a%2Fb/%c3%a4?attempt=1":     "/" + id + "/files/a%2Fb/%c3%a4?attempt=1",
		"/results/" + upper:                               "/results/" + id,
		"/results/" + id + "/?":                           "/results/" + id,
		"/results/" + upper + "/files/a/..%2f":            "/results/" + id + "/files/a/..%2f",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := b.ask(method, path, "", "Origin: https://www.example")
			for _, below := range []string{"http://h", "http://h/beans"} {
				from, err := url.Parse(below + path)
				if err != nil {
					t.Fatal(err)
				}
				to, err := from.Parse(r.Header.Get("Location"))
				if r.StatusCode != http.StatusPermanentRedirect || err != nil || to.String() != below+want || r.Header.Get("Access-Control-Allow-Origin") != "*" {
					t.Errorf("%s %s: %d to %s, %v, want %s", method, path, r.StatusCode, to, err, below+want)
				}
			}
		}
	}
	if r := b.ask(http.MethodPost, "/"+upper, ""); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", r.StatusCode)
	}
}

// A job whose tube somebody has paused is not about to start.
func TestPausedTubeIsTheReason(t *testing.T) {
	t.Parallel()
	paused := []api.PausedTube{{Tube: "x", Addr: "a:1", Program: "other"}, {Tube: "runnerbean/inbox", Addr: "a:1"}}
	b := newBench(t, func(c *Config) { c.Paused = func() []api.PausedTube { return paused } })
	b.register(1)
	id := b.queued("")
	reason := func() string { return decodeAs[jobs.Result](t, b.get("/"+id)).Reason }
	if got := reason(); got != "is about to start" {
		t.Errorf("reason %q", got)
	}
	paused = append(paused, api.PausedTube{Tube: "y", Addr: "b:1", Program: testProgram, Until: time.Unix(0, 0)})
	if got := reason(); got != "beanstalkd at b:1 gives out none of the program's jobs until 1970-01-01T00:00:00Z: somebody has paused their tube, which the nodes resume" {
		t.Errorf("reason %q", got)
	}
}

// A job beside those of another program says what its program gets; API and pages show the
// weights.
func TestShareIsInTheReason(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	err := b.ledger.Nodes.Register(t.Context(), nodes.Node{Name: testNode, Instance: testInstance, Slots: 1, Programs: []nodes.Program{
		{Name: testProgram, Weight: 3}, {Name: "other"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	id, other := b.queued(""), jobs.NewID()
	document := bytes.Replace(jobDocument(other, ""), []byte(`"`+testProgram+`"`), []byte(`"other"`), 1)
	if accepted, err := b.acceptDocument(t.Context(), document, ""); err != nil || accepted.Err != nil {
		t.Fatal(err, accepted.Err)
	}
	for id, want := range map[string]string{id: "3 of 4", other: "1 of 4"} {
		reason := decodeAs[jobs.Result](t, b.get("/"+id)).Reason
		if reason != "is about to start; its program has "+want+" shares" {
			t.Errorf("reason %q", reason)
		}
	}
	var weights []int
	for _, p := range decodeAs[api.Programs](t, b.get("/api/v1/programs")).Programs {
		weights = append(weights, p.Weight)
	}
	for _, i := range decodeAs[api.Nodes](t, b.get("/api/v1/nodes")).Nodes[0].Installed {
		weights = append(weights, i.Weight)
	}
	if diff := cmp.Diff([]int{3, 1, 3, 1}, weights); diff != "" {
		t.Error(diff)
	}
	page := bodyOf(t, b.get("/programs", "Accept: text/html"))
	if !strings.Contains(page, `data-name="weight">3<`) {
		t.Errorf("the page has no weight: %s", page)
	}
}
