package publisher

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// small makes a success whose result is in the ledger.
func (b *bench) small(id string, document []byte) {
	b.t.Helper()
	accepted, err := b.acceptDocument(b.t.Context(), jobDocument(id, ""), "")
	if err != nil || accepted.Err != nil {
		b.t.Fatal(err, accepted.Err)
	}
	b.finish(id, b.running(id), ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded, Result: document})
}

// modified returns when the result of a job was published.
func (b *bench) modified(id string) time.Time {
	b.t.Helper()
	small, found, err := b.ledger.Results.Get(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	if found {
		return small.At
	}
	info, err := os.Stat(filepath.Join(b.folder, "store", store.ResultKey(id)))
	if err != nil {
		b.t.Fatal(err)
	}
	return info.ModTime()
}

// twins are two publishers with one job. The first has its result in the store, the
// second has the same bytes in its ledger.
func twins(t *testing.T, change func(*Config)) (both [2]*bench, id string) {
	t.Helper()
	for i := range both {
		both[i] = newBench(t, change)
	}
	id = both[0].withFile()
	document, err := os.ReadFile(filepath.Join(both[0].folder, "store", store.ResultKey(id)))
	if err != nil {
		t.Fatal(err)
	}
	both[1].small(id, document)
	for key, content := range map[string]string{store.FileKey(id, 1, "plot.png"): "PNG", store.LogKey(id, 1): "hello\n"} {
		if err := both[1].store.Create(t.Context(), key, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	return both, id
}

// TestResultsOfTheLedgerAnswerAsThoseOfTheStore sends each request to both, with a cache
// and without room for one, below net/http and by the router.
func TestResultsOfTheLedgerAnswerAsThoseOfTheStore(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(testURLKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*Config)
		fast   bool
	}{"cached": {func(*Config) {}, true}, "signed": {func(c *Config) { c.URLKeyFile = key }, false}, "uncached": {func(c *Config) { c.CacheBytes = 1 }, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both, id := twins(t, test.change)
			var addrs [2]string
			var stops [2]func() error
			for i, b := range both {
				addrs[i], stops[i] = b.serve()
			}
			etag := both[0].get("/" + id).Header.Get("ETag")
			both[1].get("/" + id) // both are in memory now, or neither
			query := signedQuery(t, id, time.Hour)
			for _, request := range []string{
				"GET /ID", "HEAD /ID", "GET /results/ID", "POST /ID", "GET /ID?" + query, "HEAD /ID?" + query, "GET /ID/files/plot.png", "GET /ID/events",
				"GET /ID Accept-Encoding: gzip", "GET /ID Accept-Encoding: gzip;q=0", "GET /ID Accept: application/json", "GET /ID Accept: image/png", "GET /ID Accept: text/html",
				"GET /ID If-None-Match: " + etag, "HEAD /ID If-None-Match: " + etag, `GET /ID If-None-Match: "x"`, "GET /ID If-Match: " + etag, `GET /ID If-Match: "x"`,
				"GET /ID If-Modified-Since: MODIFIED", "GET /ID If-Modified-Since: PAST", "GET /ID If-Unmodified-Since: MODIFIED", "GET /ID If-Unmodified-Since: PAST",
				"GET /ID Range: bytes=0-9", "GET /ID Range: bytes=-5", "GET /ID Range: bytes=999999-", "GET /ID If-Range: MODIFIED",
				"GET /ID Prefer: wait=5", "GET /ID Origin: https://www.example",
			} {
				status, head, body := both[0].twinAnswer(addrs[0], id, request)
				gotStatus, gotHead, gotBody := both[1].twinAnswer(addrs[1], id, request)
				if diff := cmp.Diff(head, gotHead); diff != "" || gotStatus != status || gotBody != body {
					t.Errorf("%s: %d from the store, %d from the ledger: %s\n%s", request, status, gotStatus, diff, cmp.Diff(body, gotBody))
				}
			}
			if fast := both[1].p.ServedFast(); (fast > 0) != test.fast || fast != both[0].p.ServedFast() {
				t.Errorf("%d answers below net/http, from the store %d", fast, both[0].p.ServedFast())
			}
			if err := errors.Join(stops[0](), stops[1]()); err != nil {
				t.Error(err)
			}
		})
	}
}

// twinAnswer returns the answer to a request without its date and the times that tell the
// twins apart.
func (b *bench) twinAnswer(addr, id, request string) (status int, head http.Header, body string) {
	b.t.Helper()
	modified := b.modified(id).UTC()
	words := strings.NewReplacer("ID", id, "MODIFIED", modified.Format(http.TimeFormat), "PAST", modified.Add(-time.Hour).Format(http.TimeFormat))
	method, rest, _ := strings.Cut(request, " ")
	path, field, _ := strings.Cut(rest, " ")
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+addr+words.Replace(path), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Host = "127.0.0.1:8420"
	if name, value, ok := strings.Cut(field, ": "); ok {
		r.Header.Set(name, words.Replace(value))
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if got := answer.Header.Get("Last-Modified"); got != "" && !strings.Contains(path, "/files/") && got != modified.Format(http.TimeFormat) {
		b.t.Errorf("%s: Last-Modified is %s, published at %s", request, got, modified)
	}
	answer.Header.Del("Last-Modified")
	answer.Header.Del("Date")
	return answer.StatusCode, answer.Header, bodyOf(b.t, answer)
}

// TestLedgerResultsAreNeverMissing: a success whose result is in the ledger has nothing
// to run again for, even while the store cannot be asked.
func TestLedgerResultsAreNeverMissing(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) {
		c.Apart = func(context.Context) error { return errors.New("unmounted") }
	})
	id := jobs.NewID()
	b.small(id, []byte(`{"result":1}`))
	r := b.ask("POST", "/api/v1/jobs/"+id+"/retry", `{"missing_result":true}`, jsonBody)
	if p := decodeAs[jobs.Problem](t, r); r.StatusCode != http.StatusConflict || !strings.Contains(p.Detail, "nothing is missing") {
		t.Errorf("%d %q", r.StatusCode, p.Detail)
	}
}

// TestDeletedLedgerResults reads a result, deletes its job, and asks again.
func TestDeletedLedgerResults(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := jobs.NewID()
	b.small(id, []byte(`{"result":1}`))
	if got := bodyOf(t, b.get("/"+id)); got != `{"result":1}` {
		t.Errorf("the result: %s", got)
	}
	b.do(ledger.VerbDelete, id)
	b.eventually(func() bool { return b.get("/"+id).StatusCode == http.StatusGone })
	if _, found, err := b.ledger.Results.Get(t.Context(), id); found || err != nil {
		t.Errorf("the ledger still has it: %t, %v", found, err)
	}
}

// BenchmarkColdResult reads results of 10 KiB that are not in memory.
func BenchmarkColdResult(b *testing.B) {
	for _, place := range []string{"store", "ledger"} {
		b.Run(place, func(b *testing.B) {
			s := newBench(b, func(c *Config) { c.CacheBytes = 1 })
			ids := make([]string, 1000)
			for i := range ids {
				if place == "store" {
					ids[i], _ = s.succeeded(tenKiB())
				} else {
					ids[i] = jobs.NewID()
					s.small(ids[i], []byte(tenKiB()))
				}
			}
			handler, i := s.p.Handler(), 0
			b.ReportAllocs()
			for b.Loop() {
				w := nullWriter{h: make(http.Header)}
				handler.ServeHTTP(&w, httptest.NewRequest(http.MethodGet, "/"+ids[i%len(ids)], nil))
				if i++; w.status >= http.StatusBadRequest {
					b.Fatal(w.status)
				}
			}
		})
	}
}
