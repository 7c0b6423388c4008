package publisher

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

var testURLKey = strings.Repeat("k", signature.MinURLKey)

// newSigned returns a bench that needs tokens and serves signed URLs only.
func newSigned(t testing.TB) (b *bench, viewing badge) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(strings.Repeat("n", signature.MinURLKey)+"\n"+testURLKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, viewing, _ = newGuarded(t, func(c *Config) { c.URLKeyFile = path })
	return b, viewing
}

// signedQuery returns the signed query of a job's result URL.
func signedQuery(t testing.TB, id string, lasts time.Duration) string {
	t.Helper()
	signed, err := jobs.SignURL("http://127.0.0.1:8420/"+id, []byte(testURLKey), time.Now().Add(lasts))
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(signed, "?")
	return query
}

// withFile makes a finished job with a file and a log.
func (b *bench) withFile() string {
	b.t.Helper()
	id := b.queued("")
	attempt := b.running(id)
	png := jobs.Artifact{Name: "plot.png", Size: 3, SHA256: strings.Repeat("a", 64), URL: "http://127.0.0.1:8420/" + id + "/files/plot.png"}
	b.succeed(id, attempt, `{"artifacts":[{"url":"http://127.0.0.1:8420/`+id+`/files/plot.png"}],"n":1e2}`, png)
	for key, content := range map[string]string{store.FileKey(id, 1, png.Name): "PNG", store.LogKey(id, 1): "hello\n"} {
		if err := b.store.Create(b.t.Context(), key, []byte(content)); err != nil {
			b.t.Fatal(err)
		}
	}
	return id
}

func TestSignedResults(t *testing.T) {
	t.Parallel()
	b, vera := newSigned(t)
	id, other := b.withFile(), b.withFile()
	good, late, wrong := signedQuery(t, id, time.Hour), signedQuery(t, id, -time.Second), signedQuery(t, other, time.Hour)
	for _, folder := range []string{"/", "/results/"} {
		for _, path := range []string{"", "/log", "/events", "/files/plot.png"} {
			for _, test := range []struct {
				name, query string
				field       string
				status      int
				says        string
			}{
				{"nothing", "", "", 401, ""},
				{"signed", good, "", 200, ""},
				{"expired", late, "", 403, "has expired"},
				{"of another job", wrong, "", 403, "not right"},
				{"a part", strings.Split(good, "&")[0], "", 403, "not right"},
				{"expired, but a viewer", late, vera.cookie(), 200, ""},
				{"token", "", vera.bearer(), 200, ""},
				{"session", "", vera.cookie(), 200, ""},
			} {
				for round := range 2 { // the second one is from memory
					target := folder + id + path
					if test.query != "" {
						target += "?" + test.query
					}
					r := b.askBriefly("GET", target, "Accept: application/json", test.field)
					body := bodyOf(t, r)
					if r.StatusCode != test.status || !strings.Contains(body, test.says) {
						t.Errorf("%s%s, %s, round %d: %d %.200s", folder, path, test.name, round, r.StatusCode, body)
					}
					if cache := r.Header.Get("Cache-Control"); strings.Contains(cache, "public") || cache == "" {
						t.Errorf("%s%s, %s: Cache-Control: %s", folder, path, test.name, cache)
					}
					shared := r.Header.Get("Access-Control-Allow-Origin") != ""
					// Pages of other origins see why a URL is refused, and nothing that a cookie or token opens.
					if open := test.name == "signed" || test.status >= 400; shared != open {
						t.Errorf("%s%s, %s: any page may read it: %v", folder, path, test.name, shared)
					}
				}
			}
		}
	}
}

// TestAServerHoldsSignedResultsBack asks over one connection of a real server, which can
// answer before the router does.
func TestAServerHoldsSignedResultsBack(t *testing.T) {
	t.Parallel()
	b, _ := newSigned(t)
	id := b.withFile()
	addr, stop := b.serve()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	query := signedQuery(t, id, time.Hour)
	for round := range 3 {
		for target, want := range map[string]int{"/" + id: 401, "/results/" + id: 401, "/" + id + "?" + query: 200, "/" + id + "?" + query + "x": 403} {
			r := do(t, client, "GET", "http://"+addr+target)
			bodyOf(t, r)
			if r.StatusCode != want || r.Header.Get("X-Frame-Options") != "DENY" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("round %d, %s: %d %v", round, target, r.StatusCode, r.Header)
			}
		}
	}
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestAnOpenResultHasItsHeaders looks at what a real server sends from memory.
func TestAnOpenResultHasItsHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded(sized(3000))
	addr, stop := b.serve()
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	for range 3 {
		r := do(t, client, "GET", "http://"+addr+"/"+id)
		bodyOf(t, r)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Content-Security-Policy": httpio.PlainPolicy, "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": "camera=(), geolocation=(), microphone=()", "Access-Control-Allow-Origin": "*",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestASignatureIsForItsJob: a file may have the name of another job.
func TestASignatureIsForItsJob(t *testing.T) {
	t.Parallel()
	b, _ := newSigned(t)
	mine, theirs := b.withFile(), b.withFile()
	if r := b.get("/" + theirs + "/files/" + mine + "?" + signedQuery(t, mine, time.Hour)); r.StatusCode != 403 {
		t.Errorf("got %d", r.StatusCode)
	}
}

func TestASignatureIsCarriedOn(t *testing.T) {
	t.Parallel()
	b, vera := newSigned(t)
	id := b.withFile()
	query := signedQuery(t, id, time.Hour)
	plain := bodyOf(t, b.get("/"+id, vera.bearer()))
	r := b.get("/" + id + "?" + query)
	body := bodyOf(t, r)
	var got jobs.Result
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Artifacts) != 1 {
		t.Fatal(err, body)
	}
	u, err := url.Parse(got.Artifacts[0].URL)
	if err != nil || u.RawQuery != query {
		t.Errorf("the file is at %s", got.Artifacts[0].URL)
	}
	if r := b.get(u.RequestURI()); r.StatusCode != 200 || bodyOf(t, r) != "PNG" {
		t.Errorf("the file: %d", r.StatusCode)
	}
	// The rest of the document is the same. The result in it, which has its own
	// "artifacts", is the same to the byte.
	if back := strings.Replace(body, "?"+strings.ReplaceAll(query, "&", `&`), "", 1); strings.TrimSpace(back) != plain {
		t.Errorf("%s\nwas\n%s", back, plain)
	}
	if r := b.get("/"+id+"?"+query, "If-None-Match: "+r.Header.Get("ETag")); r.StatusCode != 304 {
		t.Errorf("with its tag: %d", r.StatusCode)
	}
	if r := b.ask("HEAD", "/"+id+"?"+query, ""); r.StatusCode != 200 || r.Header.Get("Content-Type") != httpio.TypeJSON {
		t.Errorf("HEAD: %d", r.StatusCode)
	}
	page := bodyOf(t, b.get("/"+id+"?"+query, asBrowser))
	escaped := strings.ReplaceAll(query, "&", "&amp;")
	for _, path := range []string{"/files/plot.png?", "/log?", "?format=json&amp;"} {
		if !strings.Contains(page, id+path+escaped) {
			t.Errorf("the page has no link to %s with the signature: %s", path, page)
		}
	}
	if r := b.get("/" + id + "/log?tail=2&" + query); r.StatusCode != 200 || bodyOf(t, r) != "o\n" {
		t.Errorf("with parameters of its own: %d", r.StatusCode)
	}
}

func TestSignedURLsOpenOpenResultsToo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.withFile()
	for _, path := range []string{"", "/log", "/files/plot.png"} {
		if r := b.get("/" + id + path + "?" + signedQuery(t, id, -time.Hour)); r.StatusCode != 200 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
}

func TestWrongSignaturesAreLimited(t *testing.T) {
	t.Parallel()
	b, vera := newSigned(t)
	id := b.withFile()
	last := 0
	for range access.FailureBurst + 5 {
		last = b.get("/" + id + "?expires=9999999999&signature=guess").StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the last guess got %d", last)
	}
	for name, r := range map[string]*http.Response{
		"signed": b.get("/" + id + "?" + signedQuery(t, id, time.Hour)), "token": b.get("/"+id, vera.bearer()),
	} {
		if r.StatusCode != 200 {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	for range access.FailureBurst + 5 {
		last = b.get("/" + id + "?" + signedQuery(t, id, -time.Hour)).StatusCode
	}
	if last != http.StatusForbidden {
		t.Errorf("an expired URL, asked for often: %d", last)
	}
}
