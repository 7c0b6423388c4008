package publisher

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	fromListed = "Origin: https://www.example"
	fromOther  = "Origin: https://other.example"
)

// everydayFields are header fields that browser libraries add to requests.
var everydayFields = []string{
	"traceparent", "tracestate", "baggage", "content-type", "pragma", "cache-control", "x-requested-with", "accept-language",
	"authorization", "last-event-id", "sentry-trace", "x-datadog-trace-id", "x-b3-traceid", "x-csrf-token", "prefer", "range",
}

// corsBenches returns nodes with and without an origin in RUNNERBEAN_CORS.
func corsBenches(t *testing.T) map[string]*bench {
	list := func(c *Config) { c.CORS = []string{"https://www.example"} }
	signed, _ := newSigned(t)
	cfg := signed.p.cfg
	return map[string]*bench{
		"": newBench(t), "listed": newBench(t, list), "signed": signed,
		"signed, listed": newBench(t, func(c *Config) { list(c); c.URLKeyFile, c.TokensFile = cfg.URLKeyFile, cfg.TokensFile }),
	}
}

// TestWhatEverybodyMayReadPagesOfAnyOriginMay: listed origins make no difference.
func TestWhatEverybodyMayReadPagesOfAnyOriginMay(t *testing.T) {
	t.Parallel()
	for name, b := range corsBenches(t) {
		id := b.withFile()
		query, errs := "", []string{"/" + jobs.NewID(), "/nonsense"}
		if !b.p.auth.OpenResults() {
			query = "?" + signedQuery(t, id, time.Hour)
			// A page has to see why a result is refused.
			errs = []string{"/" + id, "/" + id + "?" + signedQuery(t, id, -time.Hour), "/" + id + "/events?expires=1&signature=x", "/" + jobs.NewID() + "/log"}
		}
		for _, path := range append(errs,
			"/"+id+query, "/results/"+id+query, "/"+id+"/log"+query, "/"+id+"/files/plot.png"+query, "/"+id+"/events"+query,
			"/runnerbean.js", "/runnerbean.d.ts", "/assets/plot.js", "/schema/job.json", "/schema/result.json", "/openapi.json",
		) {
			for _, origin := range []string{fromListed, fromOther, "Origin: null"} {
				for range 2 { // from the store, from memory
					r := b.get(path, origin)
					if h := r.Header; h.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "ETag") || h.Get("Access-Control-Allow-Credentials") != "" {
						t.Errorf("%s: %s from %s: %d %v", name, path, origin, r.StatusCode, h)
					}
				}
				r := b.ask("OPTIONS", path, "", origin, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: "+strings.Join(everydayFields, ","))
				allowed := strings.Split(strings.ToLower(r.Header.Get("Access-Control-Allow-Headers")), ", ")
				for _, field := range everydayFields {
					if !slices.Contains(allowed, field) {
						t.Errorf("%s: %s from %s may not be asked for with %s", name, path, origin, field)
					}
				}
				if h := r.Header; r.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Methods") != "GET, HEAD" || h.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(h.Get("Vary"), "Access-Control-Request-Headers") {
					t.Errorf("%s: a preflight for %s from %s: %d %v", name, path, origin, r.StatusCode, h)
				}
			}
		}
	}
}

// TestTheAPIIsForListedOrigins: pages of others may neither read nor write.
func TestTheAPIIsForListedOrigins(t *testing.T) {
	t.Parallel()
	for name, b := range corsBenches(t) {
		id := b.queued("")
		for _, path := range []string{"/api/v1/jobs", "/api/v1/jobs/" + id, "/api/v1/nodes", "/jobs", "/", "/nowhere/at/all"} {
			for _, origin := range []string{fromListed, fromOther} {
				want := ""
				if origin == fromListed && len(b.p.cfg.CORS) > 0 {
					want = "https://www.example"
				}
				for _, method := range []string{"GET", "POST", "PATCH"} {
					r := b.ask("OPTIONS", path, "", origin, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: traceparent,if-match,idempotency-key,authorization")
					h := r.Header
					if h.Get("Access-Control-Allow-Origin") != want || want == "" && h.Get("Access-Control-Allow-Headers") != "" || h.Get("Access-Control-Allow-Credentials") != "" {
						t.Errorf("%s: a preflight for %s %s from %s: %v", name, method, path, origin, h)
					}
					for _, field := range []string{"traceparent", "If-Match", "Idempotency-Key", "Authorization"} {
						if want != "" && !strings.Contains(strings.ToLower(h.Get("Access-Control-Allow-Headers")), strings.ToLower(field)) {
							t.Errorf("%s: %s %s may not be sent with %s", name, method, path, field)
						}
					}
				}
				if path == "/nowhere/at/all" {
					continue // there is nothing to read
				}
				if h := b.get(path, origin).Header; h.Get("Access-Control-Allow-Origin") != want {
					t.Errorf("%s: %s from %s: %v", name, path, origin, h)
				}
			}
		}
		// A page of another origin may not change what everybody may read.
		r := b.ask("OPTIONS", "/"+id, "", fromOther, "Access-Control-Request-Method: POST")
		if h := r.Header; h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s: a preflight for POST: %v", name, h)
		}
	}
}

func TestOddPreflights(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	const readRequests = "Accept, Cache-Control, If-Modified-Since, If-None-Match, If-Range, Last-Event-ID, Prefer, Range"
	for asked, want := range map[string]string{
		"":                                    readRequests,
		"traceparent":                         readRequests + ", traceparent",
		"ACCEPT, x-a,, X-A ,x-b":              readRequests + ", x-a, x-b",
		"x y, x:y, é, x\x00y, ok":             readRequests + ", ok",
		strings.Repeat("x-long-name,", 2<<10): readRequests,
		"*":                                   readRequests + ", *",
	} {
		r := b.ask("OPTIONS", "/"+id, "", fromOther, "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: "+asked)
		if got := r.Header.Get("Access-Control-Allow-Headers"); got != want {
			t.Errorf("%.40q: %.200q", asked, got)
		}
	}
	for _, method := range []string{"get", "DELETE", "GET, POST", "x y"} {
		r := b.ask("OPTIONS", "/"+id, "", fromOther, "Access-Control-Request-Method: "+method)
		if r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: %d %v", method, r.StatusCode, r.Header)
		}
	}
}

// anyOriginReads reads from a page of an origin that is not listed, with header fields
// that need a preflight.
func anyOriginReads(t *testing.T, chromium context.Context) {
	b := newBench(t, func(c *Config) { c.CORS = []string{"https://www.example"} })
	addr, stop := b.serve()
	id, _ := b.succeeded("[1,2]")
	node := "http://" + addr
	tab := browsertest.NewTab(t, chromium, "blocked by CORS policy", "ERR_FAILED")
	tab.Do(chromedp.Navigate(embedder(t, node, `<runnerbean-result src="`+node+"/"+id+`"></runnerbean-result>`)))
	tab.Until(part("state") + `?.textContent.startsWith('Succeeded')`)
	browsertest.Evaluate[any](tab, fmt.Sprintf(`(async () => {
		const headers = {traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', 'x-requested-with': 'XMLHttpRequest', pragma: 'no-cache', 'content-type': 'application/json', authorization: 'Bearer x'};
		const read = (path) => fetch('%[1]s' + path, {headers}).then((r) => r.status, (err) => err.name);
		globalThis.log = (await Promise.all(['/%[2]s', '/results/%[2]s', '/%[2]s/log', '/schema/job.json', '/runnerbean.js', '/openapi.json', '/api/v1/jobs'].map(read))).join();
	})(), null`, node, id))
	tab.Until(`globalThis.log === '200,200,200,200,200,200,TypeError'`)
	tab.CheckComplaints()
	tab.Open("about:blank")
	if err := stop(); err != nil {
		t.Error(err)
	}
}
