package publisher

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
)

// badge is a token and the session that it gives.
type badge struct{ secret, session string }

func (b badge) bearer() string { return "Authorization: Bearer " + b.secret }
func (b badge) cookie() string { return "Cookie: runnerbean_session=" + b.session }

// badges writes a file with the tokens of a viewer and an operator.
func badges(t testing.TB) (path string, viewing, operating badge) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tokens")
	made := func(name string, role access.Role) badge {
		secret, entry, err := access.New(name, role, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if err := access.AddToken(path, entry); err != nil {
			t.Fatal(err)
		}
		session, _ := access.Session(entry, time.Now())
		return badge{secret, session}
	}
	return path, made("vera", access.Viewer), made("otto", access.Operator)
}

// newGuarded returns a bench that needs tokens.
func newGuarded(t testing.TB, change ...func(*Config)) (b *bench, viewing, operating badge) {
	path, viewing, operating := badges(t)
	change = append([]func(*Config){func(c *Config) { c.TokensFile = path }}, change...)
	return newBench(t, change...), viewing, operating
}

var addresses atomic.Int64

// askBriefly is ask, but ends streams after a moment.
func (b *bench) askBriefly(method, target string, fields ...string) *http.Response {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	body := "{}"
	if method == http.MethodGet || method == http.MethodHead {
		body = ""
	}
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8420"
	n := addresses.Add(1) // an address of its own, since many wrong tokens from one are refused
	r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1234", n/256%256, n%256)
	for _, f := range append(fields, jsonBody) {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	b.p.Handler().ServeHTTP(w, r)
	return w.Result()
}

// pathOf returns a path of a route, with a job, a node and so on that exist.
func pathOf(r route, id string) string {
	path := strings.Replace(r.path, ":id", id, 1)
	switch {
	case strings.Contains(r.path, "/nodes/:name"):
		path = strings.Replace(path, ":name", testNode, 1)
	case strings.Contains(r.path, ":name"):
		path = strings.Replace(path, ":name", testProgram, 1)
	}
	return strings.NewReplacer("*", "plot.png", ":number", "1").Replace(path)
}

const foreignPage = "Sec-Fetch-Site: cross-site"

// TestEveryRouteHasItsLevel asks for every path as each kind of caller.
func TestEveryRouteHasItsLevel(t *testing.T) {
	t.Parallel()
	b, vera, otto := newGuarded(t)
	b.register(1)
	ended, _ := b.succeeded("[1]")
	const let = 0 // the handler is called
	type asker struct {
		name   string
		fields []string
		want   map[auth.Level]int
	}
	for _, who := range []asker{
		{"nobody", nil, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: 401, auth.Operator: 401}},
		{"wrong token", []string{badge{secret: "rb_" + strings.Repeat("A", 43)}.bearer()}, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: 401, auth.Operator: 401}},
		{"wrong session", []string{badge{session: strings.Replace(otto.session, "otto", "vera", 1)}.cookie()}, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: 401, auth.Operator: 401}},
		{"viewer", []string{vera.bearer()}, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: let, auth.Operator: 403}},
		{"operator", []string{otto.bearer()}, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: let, auth.Operator: let}},
		{"viewer's session", []string{vera.cookie()}, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: let, auth.Operator: 403}},
		{"operator's session", []string{otto.cookie()}, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: let, auth.Operator: let}},
		{"session in a foreign page", []string{otto.cookie(), foreignPage}, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: let, auth.Operator: 403}},
		{"token in a foreign page", []string{otto.bearer(), foreignPage}, map[auth.Level]int{auth.Anyone: let, auth.Holder: let, auth.Viewer: let, auth.Operator: 403}},
	} {
		id := b.failed()
		for _, r := range b.p.table() {
			if r.path == "/logout" {
				continue // it ends the sessions
			}
			want, known := who.want[r.needs.Role()]
			if !known {
				t.Fatalf("%s %s has no level: say in routes.go who may use it", r.method, r.path)
			}
			if r.method != http.MethodGet && slices.Contains(who.fields, foreignPage) {
				want = 403
			}
			path := pathOf(r, ended)
			if r.method != http.MethodGet {
				path = pathOf(r, id)
			}
			got := b.askBriefly(r.method, path, who.fields...)
			refused := got.StatusCode == 401 || got.StatusCode == 403 || got.StatusCode == 429
			if r.path == "/login" && want == let {
				continue // it refuses wrong tokens itself
			}
			if want != let && got.StatusCode != want || want == let && refused {
				t.Errorf("%s: %s %s: %d, want %d (0: not refused)", who.name, r.method, r.path, got.StatusCode, want)
			}
			if allowed := got.Header.Get("Access-Control-Allow-Origin"); r.needs >= auth.Viewer && allowed != "" {
				t.Errorf("%s: %s %s may be read by pages of %s", who.name, r.method, r.path, allowed)
			}
			if got.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %s %s allows credentials", who.name, r.method, r.path)
			}
		}
	}
}

func TestARouteWithoutALevelIsShut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	c := b.p.echo.NewContext(r, httptest.NewRecorder())
	if err := b.p.auth.Guard(0, func(echo.Context) error { return nil })(c); err == nil {
		t.Error("it is open")
	}
}

func TestRefusalsSayWhatIsNeeded(t *testing.T) {
	t.Parallel()
	b, vera, _ := newGuarded(t)
	for _, test := range []struct {
		name, method string
		fields       []string
		challenge    string
		detail       string
	}{
		{"nobody", "GET", nil, `Bearer realm="runnerbean"`, "Authorization: Bearer TOKEN"},
		{"wrong", "GET", []string{"Authorization: Bearer s3cret"}, "invalid_token", "has expired"},
		{"viewer", "POST", []string{vera.bearer()}, "insufficient_scope", "needs the role operator"},
	} {
		r := b.askBriefly(test.method, "/api/v1/jobs", test.fields...)
		p := decodeAs[jobs.Problem](t, r)
		if !strings.Contains(r.Header.Get("WWW-Authenticate"), test.challenge) || !strings.Contains(p.Detail, test.detail) || strings.Contains(p.Detail, "s3cret") {
			t.Errorf("%s: %q %+v", test.name, r.Header.Get("WWW-Authenticate"), p)
		}
	}
	if logged := b.logged.String(); strings.Contains(logged, "s3cret") || strings.Contains(logged, vera.secret) {
		t.Error("a token is in the log")
	}
}

// TestWithoutTokens: on loopback everybody may read and act. A page whose host name
// points at the node may not, and a page of another origin may not read.
func TestWithoutTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(1)
	readOnly := newBench(t, func(c *Config) { c.ReadOnly = "no tokens: set RUNNERBEAN_TOKENS_FILE" })
	id := b.failed()
	ended, _ := b.succeeded("[1]")
	for _, r := range b.p.table() {
		path := pathOf(r, ended)
		if r.method != http.MethodGet {
			path = pathOf(r, id)
		}
		if got := b.askBriefly(r.method, path); got.StatusCode == 401 || got.StatusCode == 403 {
			t.Errorf("%s %s: %d", r.method, path, got.StatusCode)
		}
		if r.needs < auth.Viewer {
			continue
		}
		got := b.ask(r.method, path, "{}", jsonBody, "Host: evil.example")
		if got.StatusCode != 403 || got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s by another name: %d", r.method, path, got.StatusCode)
		}
		if got := b.askBriefly(r.method, path, "Origin: https://www.example"); got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s may be read by pages of any origin", r.method, path)
		}
		got = readOnly.askBriefly(r.method, path)
		if refused := got.StatusCode == 403; refused != (r.needs.Role() == auth.Operator) {
			t.Errorf("read only: %s %s: %d", r.method, path, got.StatusCode)
		}
	}
	if page := bodyOf(t, readOnly.get("/events", "Accept: text/html")); strings.Contains(page, "<html") && !strings.Contains(page, "no tokens: set RUNNERBEAN_TOKENS_FILE") {
		t.Error("the page does not say why nothing can be changed")
	}
}

func TestWhoAsks(t *testing.T) {
	t.Parallel()
	by := ""
	note := func(c *Config) {
		c.Drain = func(_ context.Context, _, asker, _ string) error { by = asker; return nil }
	}
	b, _, otto := newGuarded(t, note)
	open := newBench(t, note)
	for _, test := range []struct {
		b     *bench
		field string
		want  string
	}{
		{b, otto.bearer(), "otto"},
		{b, otto.cookie(), "otto"},
		{open, "Accept: */*", "API request from 192.0.2.1"},
	} {
		if r := test.b.ask("POST", "/api/v1/drain", `{"node":""}`, jsonBody, test.field); r.StatusCode != 200 || by != test.want {
			t.Errorf("%s: %d, by %q", test.field, r.StatusCode, by)
		}
	}
}

// TestGetChangesNothing reads every path, with HEAD too, and compares ledger and store
// with what they were.
func TestGetChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(1)
	png := jobs.Artifact{Name: "plot.png", Size: 3, SHA256: strings.Repeat("a", 64), URL: "http://127.0.0.1:8420/x"}
	done, _ := b.succeeded("[1]", png)
	if err := b.store.Create(t.Context(), store.FileKey(done, 1, png.Name), []byte("PNG")); err != nil {
		t.Fatal(err)
	}
	running := b.queued("")
	b.running(running)
	ids := []string{done, b.failed(), b.queued(`"labels":{"a":"b"}`), running}
	kept := filepath.Join(b.folder, "store")
	before, files := dump(t, b.ledgerFile()), filesIn(t, kept)
	for _, r := range b.p.table() {
		if r.method != http.MethodGet {
			continue
		}
		for _, id := range ids {
			if strings.HasSuffix(r.path, "/events") && id != ids[0] && id != ids[1] {
				continue // the stream does not end
			}
			for _, accept := range []string{"Accept: text/html", "Accept: application/json"} {
				b.askBriefly(http.MethodGet, pathOf(r, id), accept)
				b.askBriefly(http.MethodHead, pathOf(r, id), accept)
			}
		}
	}
	if diff := cmp.Diff(before, dump(t, b.ledgerFile())); diff != "" {
		t.Errorf("the ledger has changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(files, filesIn(t, kept)); diff != "" {
		t.Errorf("the store has changed (-before +after):\n%s", diff)
	}
	b.ask("POST", "/api/v1/jobs/"+ids[2]+"/cancel", "")
	if cmp.Equal(before, dump(t, b.ledgerFile())) {
		t.Error("the dump does not even notice a cancellation")
	}
}

// dump returns every row of every table.
func dump(t *testing.T, path string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var out []string
	for _, table := range column(t, db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") {
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM "`+table+`"`)
		if err != nil {
			t.Fatal(err)
		}
		names, _ := rows.Columns()
		for rows.Next() {
			cells, into := make([]any, len(names)), make([]any, len(names))
			for i := range cells {
				into[i] = &cells[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %s", table, cells))
		}
		rows.Close()
	}
	slices.Sort(out)
	return out
}

func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func filesIn(t *testing.T, folder string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		list = append(list, fmt.Sprint(path, info.Size(), info.ModTime()))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
