package publisher

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

// submitters returns a bench with two tokens of the role submit and one of an operator.
func submitters(t *testing.T, change ...func(*Config)) (b *bench, shop, blog, otto badge) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	made := func(name string, role access.Role) badge {
		secret, entry, err := access.New(name, role, time.Time{})
		if err == nil {
			err = access.AddToken(path, entry)
		}
		if err != nil {
			t.Fatal(err)
		}
		session, _ := access.Session(entry, time.Now())
		return badge{secret, session}
	}
	shop, blog, otto = made("shop", access.Submit), made("blog", access.Submit), made("otto", access.Operator)
	change = append([]func(*Config){func(c *Config) { c.TokensFile = path }}, change...)
	return newBench(t, change...), shop, blog, otto
}

func TestSubmitterSubmitsReadsAndCancelsItsOwnJobsOnly(t *testing.T) {
	t.Parallel()
	b, shop, blog, otto := submitters(t)
	r := b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, shop.bearer())
	if r.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", r.StatusCode, bodyOf(t, r))
	}
	id := decodeAs[jobs.Result](t, r).ID
	d := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+id, shop.bearer()))
	if d.Status.ID != id || !slices.ContainsFunc(d.Events, func(e api.Event) bool { return e.Kind == eventlog.KindAccepted && e.By == "shop" }) {
		t.Errorf("no event says that shop has submitted the job: %+v", d.Events)
	}
	for _, test := range []struct {
		who          badge
		method, path string
		want         int
	}{
		{blog, "GET", "/api/v1/jobs/" + id, 404},
		{blog, "POST", "/api/v1/jobs/" + id + "/cancel", 404},
		{shop, "POST", "/api/v1/jobs/" + id + "/retry", 403},
		{shop, "POST", "/api/v1/jobs/cancel", 403},
		{shop, "GET", "/api/v1/jobs", 403},
		{shop, "GET", "/api/v1/nodes", 403},
		{shop, "GET", "/api/v1/programs", 403},
		{shop, "GET", "/", 403},
		{shop, "GET", "/metrics", 404},
		{shop, "GET", "/api/v1/jobs/" + jobs.NewID(), 404},
		{shop, "POST", "/api/v1/jobs/" + id + "/cancel", 202},
		{otto, "GET", "/api/v1/jobs/" + id, 200},
	} {
		if got := b.ask(test.method, test.path, "{}", jsonBody, test.who.bearer()); got.StatusCode != test.want {
			t.Errorf("%s %s: %d, want %d: %s", test.method, test.path, got.StatusCode, test.want, bodyOf(t, got))
		}
	}
	// A session with the same token may do no more.
	if got := b.get("/api/v1/jobs", shop.cookie()); got.StatusCode != http.StatusForbidden {
		t.Errorf("a session lists jobs: %d", got.StatusCode)
	}
}

func TestSubmitterDoesNotReadAnothersJobByPuttingItAgain(t *testing.T) {
	t.Parallel()
	b, shop, blog, _ := submitters(t)
	id := jobs.NewID()
	document := fmt.Sprintf(`{"id":%q,"program":%q,"input":{"data":1},"created":"2026-01-01T00:00:00Z"}`, id, testProgram)
	if r := b.ask("POST", "/api/v1/jobs", document, jsonBody, shop.bearer()); r.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", r.StatusCode, bodyOf(t, r))
	}
	if r := b.ask("POST", "/api/v1/jobs", document, jsonBody, shop.bearer()); r.StatusCode != http.StatusOK {
		t.Errorf("its own job again: %d", r.StatusCode)
	}
	if r := b.ask("POST", "/api/v1/jobs", document, jsonBody, blog.bearer()); r.StatusCode/100 != 4 {
		t.Errorf("another's job: %d %s", r.StatusCode, bodyOf(t, r))
	}
}

func TestSubmitterReadsItsOwnResultWhereResultsAreSigned(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, shop, blog, _ := submitters(t, func(c *Config) { c.URLKeyFile = key })
	id := decodeAs[jobs.Result](t, b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, shop.bearer())).ID
	if r := b.get("/"+id, shop.bearer()); r.StatusCode/100 != 2 {
		t.Errorf("its own: %d", r.StatusCode)
	}
	if r := b.get("/"+id, blog.bearer()); r.StatusCode != http.StatusNotFound {
		t.Errorf("another's: %d", r.StatusCode)
	}
}

func TestLogoutEndsTheSessionAndItsCopiesOnEveryNode(t *testing.T) {
	t.Parallel()
	path, vera, _ := badges(t)
	b := newBench(t, func(c *Config) { c.TokensFile = path })
	copied := "Cookie: " + sessionCookie(t, b.login(vera.secret, "/"))
	if r := b.get("/api/v1/jobs", copied); r.StatusCode != http.StatusOK {
		t.Fatalf("signed in: %d", r.StatusCode)
	}
	other := "Cookie: " + sessionCookie(t, b.login(vera.secret, "/"))
	if r := b.ask("POST", "/logout", "", copied, "Sec-Fetch-Site: same-origin"); r.StatusCode != http.StatusSeeOther {
		t.Fatalf("logout: %d", r.StatusCode)
	}
	if r := b.get("/api/v1/jobs", copied); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("a copy of the cookie is good after the logout: %d", r.StatusCode)
	}
	if r := b.get("/api/v1/jobs", other); r.StatusCode != http.StatusOK {
		t.Errorf("another session of the same token is ended too: %d", r.StatusCode)
	}
}

func sessionCookie(t *testing.T, r *http.Response) string {
	t.Helper()
	for _, c := range r.Cookies() {
		if strings.HasSuffix(c.Name, "runnerbean_session") {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("no session: %d %v", r.StatusCode, r.Header)
	return ""
}

func TestShortTokenIsRefused(t *testing.T) {
	t.Parallel()
	for token, good := range map[string]bool{"x": false, strings.Repeat("x", access.MinSingle-1): false, strings.Repeat("x", access.MinSingle): true} {
		_, err := access.OpenTokens("", token, nil)
		if (err == nil) != good || err != nil && !strings.Contains(err.Error(), "RUNNERBEAN_TOKEN") {
			t.Errorf("%d characters: %v", len(token), err)
		}
	}
}

func TestWrongTokensLeaveABoundedNumberOfEvents(t *testing.T) {
	t.Parallel()
	b, _, _ := newGuarded(t)
	const maxFailureEvents = 10
	secrets := 0
	for range 3 * maxFailureEvents {
		b.get("/api/v1/jobs", "Authorization: Bearer rb_"+strings.Repeat("Q", 43))
		b.login("wrong-wrong-wrong", "/")
	}
	page, err := b.ledger.Events.Search(t.Context(), eventlog.Filter{Kind: "login-failed", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	// The minute may end while the test runs.
	if n := len(page.Events); n < maxFailureEvents || n > 2*maxFailureEvents {
		t.Errorf("%d events, want %d a minute", n, maxFailureEvents)
	}
	for _, e := range page.Events {
		if strings.Contains(e.Message, "wrong-wrong") || strings.Contains(e.Message, "QQQ") {
			secrets++
		}
		if !strings.Contains(e.Message, "192.0.2.1") {
			t.Errorf("the event does not name the address: %s", e.Message)
		}
	}
	if secrets > 0 {
		t.Errorf("%d events hold what was sent as a token", secrets)
	}
}

func TestWrongTokenBehindAProxyNamesBothAddresses(t *testing.T) {
	t.Parallel()
	b, _, _ := newGuarded(t)
	for range 3 {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/jobs", nil)
		r.RemoteAddr, r.Host = "10.0.0.9:1234", "127.0.0.1:8420"
		r.Header.Set("X-Forwarded-For", "203.0.113.7")
		r.Header.Set("Authorization", "Bearer wrong-wrong-wrong-wrong")
		b.p.Handler().ServeHTTP(httptest.NewRecorder(), r)
	}
	page, err := b.ledger.Events.Search(t.Context(), eventlog.Filter{Kind: "login-failed"})
	if err != nil || len(page.Events) == 0 || !strings.Contains(page.Events[0].Message, "203.0.113.7 through 10.0.0.9") {
		t.Errorf("%v %+v", err, page.Events)
	}
}

// secretJob has a secret in each URL.
const secretJob = `{"program":"` + testProgram + `","input":{"url":"https://in.example/a?X-Amz-Signature=hush1"},
	"files":[{"name":"b","url":"https://in.example/b?sig=hush2"}],"webhook":"https://hooks.example/T000/hush3?k=hush4"}`

func TestViewersSeeNoSecretsOfURLs(t *testing.T) {
	t.Parallel()
	b, vera, otto := newGuarded(t)
	r := b.ask("POST", "/api/v1/jobs", secretJob, jsonBody, otto.bearer())
	if r.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", r.StatusCode, bodyOf(t, r))
	}
	id := decodeAs[jobs.Result](t, r).ID
	for _, path := range []string{"/api/v1/jobs/" + id, "/jobs/" + id, "/api/v1/jobs", "/jobs", "/" + id, "/events"} {
		for _, accept := range []string{"application/json", "text/html"} {
			if text := string(bodyOf(t, b.get(path, vera.bearer(), "Accept: "+accept))); strings.Contains(text, "hush") {
				t.Errorf("%s as %s shows a viewer a secret:\n%s", path, accept, text)
			}
		}
	}
	if text := string(bodyOf(t, b.get("/api/v1/jobs/"+id, otto.bearer()))); strings.Count(text, "hush") != 4 {
		t.Errorf("an operator does not see the document as it is:\n%s", text)
	}
}

// failingAct fails from the nth call on.
func failingAct(b **bench, n int) func(context.Context, ledger.Verb, string, []ledger.Target) ([]ledger.Acted, error) {
	calls := 0
	return func(ctx context.Context, verb ledger.Verb, by string, targets []ledger.Target) ([]ledger.Acted, error) {
		if calls++; calls == n {
			return nil, errors.New("the disk is full")
		}
		return (*b).act(ctx, verb, by, targets)
	}
}

func TestSelectionThatStopsHalfWayLeadsToTheRest(t *testing.T) {
	t.Parallel()
	var b *bench
	b = newBench(t, func(c *Config) { c.Act = failingAct(&b, 2) })
	for range 300 {
		b.queued("")
	}
	const key = "Idempotency-Key: half"
	first := decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/cancel", `{"all":true,"limit":1000}`, jsonBody, key))
	if first.Done == 0 || first.Done > 256 || first.Stopped == "" || first.Next == "" {
		t.Fatalf("%+v; want a part, why it stopped, and a cursor", first)
	}
	again := b.ask("POST", "/api/v1/jobs/cancel", `{"all":true,"limit":1000}`, jsonBody, key)
	if again.Header.Get("Idempotency-Replayed") != "true" {
		t.Error("a part that is done is done again under the same key")
	}
	rest := decodeAs[api.Selected](t, b.ask("POST", "/api/v1/jobs/cancel", fmt.Sprintf(`{"all":true,"limit":1000,"cursor":%q}`, first.Next), jsonBody))
	if left := b.statesOf()[jobs.Queued]; left != 0 || rest.Done == 0 {
		t.Errorf("%d jobs are queued still; the second call did %+v", left, rest)
	}
}

func TestFormThatStopsHalfWayGoesOn(t *testing.T) {
	t.Parallel()
	var b *bench
	b = newBench(t, func(c *Config) { c.Act = failingAct(&b, 2) })
	for range 300 {
		b.queued("")
	}
	r := b.post("/jobs/act", map[string][]string{"verb": {"cancel"}, "all": {"yes"}, "confirm": {"yes"}})
	page := string(bodyOf(t, r))
	if r.StatusCode != http.StatusOK || !strings.Contains(page, "could not go on") || !strings.Contains(page, `name="cursor"`) {
		t.Errorf("%d: the page does not say what is done and how to go on:\n%s", r.StatusCode, page)
	}
}
