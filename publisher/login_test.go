package publisher

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	asBrowser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	formBody  = "Content-Type: application/x-www-form-urlencoded"
)

// login sends the form of the login page.
func (b *bench) login(secret, next string, fields ...string) *http.Response {
	b.t.Helper()
	form := url.Values{"token": {secret}, "next": {next}}
	return b.ask("POST", "/login", form.Encode(), append(fields, formBody, asBrowser)...)
}

func TestABrowserIsLedToTheLogin(t *testing.T) {
	t.Parallel()
	b, vera, _ := newGuarded(t)
	below := newBench(t, func(c *Config) { c.Token, c.BaseURL = "s3cret-s3cret-s3cret", "https://www.example/beans" })
	for _, test := range []struct {
		name, method, path string
		b                  *bench
		fields             []string
		status             int
		location           string
	}{
		{"page", "GET", "/?state=failed", b, nil, 303, "/login?next=%2F%3Fstate%3Dfailed"},
		{"head", "HEAD", "/", b, nil, 303, "/login?next=%2F"},
		{"API in a browser", "GET", "/api/v1/jobs", b, nil, 303, "/login?next=%2Fapi%2Fv1%2Fjobs"},
		{"below a folder", "GET", "/", below, nil, 303, "/beans/login?next=%2F"},
		{"form of a page that is open for long", "POST", "/api/v1/drain", b, []string{"Referer: http://127.0.0.1:8420/nodes?x=1"}, 303, "/login?next=%2Fnodes%3Fx%3D1"},
		{"form from elsewhere", "POST", "/api/v1/drain", b, []string{"Referer: http://evil.example/nodes"}, 303, "/login?next=%2F"},
		{"wrong token", "GET", "/", b, []string{"Authorization: Bearer x"}, 401, ""},
		{"not enough", "POST", "/api/v1/drain", b, []string{vera.cookie()}, 403, ""},
	} {
		r := test.b.ask(test.method, test.path, "", append(test.fields, asBrowser)...)
		if r.StatusCode != test.status || r.Header.Get("Location") != test.location {
			t.Errorf("%s: %d to %q", test.name, r.StatusCode, r.Header.Get("Location"))
		}
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	b, vera, otto := newGuarded(t)
	r := b.get("/login?next=/jobs", asBrowser)
	page := bodyOf(t, r)
	if r.StatusCode != 200 || !strings.Contains(page, `name="next" value="/jobs"`) || r.Header.Get("Content-Security-Policy") != loginPolicy || r.Header.Get("Cache-Control") != httpio.NoStore {
		t.Errorf("%d %v %s", r.StatusCode, r.Header, page)
	}
	r = b.login(" "+otto.secret+"\n", "/jobs?state=failed")
	if r.StatusCode != 303 || r.Header.Get("Location") != "/jobs?state=failed" || len(r.Cookies()) != 1 {
		t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
	got := r.Cookies()[0]
	if !got.HttpOnly || got.Secure || got.SameSite != http.SameSiteLaxMode || got.Path != "/" || got.Domain != "" || time.Until(got.Expires).Round(time.Hour) != access.SessionTime {
		t.Errorf("the cookie is %s", got)
	}
	session := "Cookie: " + got.Name + "=" + got.Value
	if r := b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, session); r.StatusCode != 201 {
		t.Errorf("with the session: %d", r.StatusCode)
	}
	if r := b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, session, "Origin: https://evil.example"); r.StatusCode != 403 {
		t.Errorf("with the session, from elsewhere: %d", r.StatusCode)
	}
	r = b.login("wrong<b>", "//evil.example")
	page = bodyOf(t, r)
	if r.StatusCode != 403 || !strings.Contains(page, "not one of this node") || strings.Contains(page, "wrong") || strings.Contains(page, "evil") || len(r.Cookies()) != 0 {
		t.Errorf("a wrong token: %d %s", r.StatusCode, page)
	}
	if r := b.login(vera.secret, "/", foreignPage); r.StatusCode != 403 || len(r.Cookies()) != 0 {
		t.Errorf("from a foreign page: %d", r.StatusCode)
	}
	if r := b.login(strings.Repeat("x", 2*8<<10), "/"); r.StatusCode != 400 {
		t.Errorf("a large form: %d", r.StatusCode)
	}
	r = b.ask("POST", "/logout", "", session, asBrowser)
	if r.StatusCode != 303 || r.Header.Get("Location") != "/login" || len(r.Cookies()) != 1 || r.Cookies()[0].MaxAge >= 0 || r.Cookies()[0].Value != "" {
		t.Errorf("logout: %d %v", r.StatusCode, r.Header)
	}
}

func TestASessionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	path, vera, otto := badges(t)
	one := newBench(t, func(c *Config) { c.TokensFile = path })
	if err := access.RemoveToken(path, "otto"); err != nil {
		t.Fatal(err)
	}
	other := newBench(t, func(c *Config) { c.TokensFile = path })
	for _, test := range []struct {
		b      *bench
		field  string
		status int
	}{{one, vera.cookie(), 200}, {other, vera.cookie(), 200}, {other, otto.cookie(), 401}, {other, otto.bearer(), 401}} {
		if r := test.b.get("/api/v1/jobs", test.field); r.StatusCode != test.status {
			t.Errorf("%d, want %d", r.StatusCode, test.status)
		}
	}
}

// A browser may send the cookie from another origin of the same site. It must not be
// accepted, whether the origin is listed or not.
func TestOtherOriginsNeedATokenOfTheirOwn(t *testing.T) {
	t.Parallel()
	b, _, otto := newGuarded(t, func(c *Config) {
		c.CORS, c.BaseURL = []string{"https://www.example"}, "https://results.example"
	})
	cookie := strings.Replace(otto.cookie(), "runnerbean", "__Host-runnerbean", 1)
	for _, test := range []struct {
		credentials, origin, site string
		status                    int
	}{
		{otto.bearer(), "https://www.example", "same-site", 201},
		{otto.bearer(), "https://other.example", "same-site", 403},
		{cookie, "https://www.example", "same-site", 401},
		{cookie, "https://other.example", "same-site", 403},
		{cookie, "https://results.example", "same-origin", 201},
		{cookie, "https://results.example", "", 201}, // behind a proxy that sets the Host field
		{cookie, "null", "", 403},
	} {
		fields := []string{jsonBody, test.credentials, "Origin: " + test.origin}
		if test.site != "" {
			fields = append(fields, "Sec-Fetch-Site: "+test.site)
		}
		r := b.ask("POST", "/api/v1/jobs", goodJob, fields...)
		if r.StatusCode != test.status || r.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%+v: %d", test, r.StatusCode)
		}
	}
}

func TestCookiesOverHTTPS(t *testing.T) {
	t.Parallel()
	b, _, otto := newGuarded(t, func(c *Config) { c.BaseURL = "https://results.example" })
	r := b.login(otto.secret, "/")
	if len(r.Cookies()) != 1 || r.Cookies()[0].Name != "__Host-runnerbean_session" || !r.Cookies()[0].Secure {
		t.Errorf("%v", r.Header)
	}
	if r := b.get("/api/v1/jobs", otto.cookie()); r.StatusCode != 401 {
		t.Errorf("a cookie that any host beside could have set: %d", r.StatusCode)
	}
}

func TestLoginWithoutTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, r := range []*http.Response{b.get("/login?next=/x", asBrowser), b.login("any", "/x")} {
		if r.StatusCode != 303 || r.Header.Get("Location") != "/x" || len(r.Cookies()) != 0 {
			t.Errorf("%d %v", r.StatusCode, r.Header)
		}
	}
}

func TestWrongLoginsAreLimited(t *testing.T) {
	t.Parallel()
	b, vera, otto := newGuarded(t)
	last := 0
	for range access.FailureBurst + 5 {
		last = b.login("guess", "/").StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the last guess got %d", last)
	}
	if r := b.get("/api/v1/jobs", "Authorization: Bearer guess"); r.StatusCode != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("a guess elsewhere: %d", r.StatusCode)
	}
	// A session cannot be guessed, so that it needs no limit that could lock others out.
	for name, r := range map[string]*http.Response{
		"token": b.get("/api/v1/jobs", vera.bearer()), "session": b.get("/api/v1/jobs", vera.cookie()), "login": b.login(otto.secret, "/"),
	} {
		if r.StatusCode >= 400 {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
}

func TestABrokenFileOfTokensStopsTheStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	path, _, _ := badges(t)
	if err := os.WriteFile(path, []byte("vera viewer\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := b.p.cfg
	cfg.TokensFile = path
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("got %v", err)
	}
	cfg.TokensFile = path + ".missing"
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "RUNNERBEAN_TOKENS_FILE") {
		t.Errorf("got %v", err)
	}
}
