package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
)

const secret = "rb_s3cret-s3cret-s3cret"

// details is an answer to GET /api/v1/jobs/<id>.
func details(s jobs.State) http.HandlerFunc {
	body := fmt.Sprintf(`{"job":{"id":%q,"program":"forecast","input":{"data":1},"result":{"url":%q},"new":1},"status":%s,
		"attempts":[{"number":1}],"events":[],"why":"no slot is free","allowed":["cancel"],"updated":"2026-11-22T06:16:00.5Z"}`,
		anID, resultURL, state(s, `,"attempt":2`))
	return text(200, "application/json", body)
}

// problem sends a problem with a detail, as a node does.
func problem(status int, detail string) http.HandlerFunc {
	return text(status, "application/problem+json", fmt.Sprintf(`{"title":"No","status":%d,"detail":%q}`, status, detail))
}

func TestGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientWith(t, jobs.Config{Token: secret}, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Method + " " + r.URL.Path + " " + r.Header.Get("Authorization"); got != "GET /api/v1/jobs/"+anID+" Bearer "+secret {
				t.Errorf("asked %s", got)
			}
			details(jobs.Queued)(w, r)
		})
		d, err := c.Get(t.Context(), anID)
		if err != nil {
			t.Fatal(err)
		}
		if d.Job.Result.URL != resultURL || d.Status.State != jobs.Queued || d.Status.Attempt != 2 || d.Why == "" || len(d.Allowed) != 1 || d.Updated.IsZero() {
			t.Errorf("got %+v", d)
		}
	})
}

// TestVerbs checks that a repeated verb is no error where the first one was done.
func TestVerbs(t *testing.T) {
	cancel := func(c *jobs.Client) (jobs.Result, error) { return c.Cancel(context.Background(), anID) }
	again := func(c *jobs.Client) (jobs.Result, error) { return c.Retry(context.Background(), anID) }
	for name, tt := range map[string]struct {
		verb  func(*jobs.Client) (jobs.Result, error)
		post  http.HandlerFunc
		get   http.HandlerFunc
		state jobs.State
		want  func(error) bool // nil: no error
	}{
		"cancel":                     {cancel, answer(jobs.Cancelled, ""), nil, jobs.Cancelled, nil},
		"cancel a running job":       {cancel, text(202, "application/json", state(jobs.Running, "")), nil, jobs.Running, nil},
		"cancel after a lost answer": {cancel, script(cut, answer(jobs.Cancelled, "")), nil, jobs.Cancelled, nil},
		"cancel after an outage":     {cancel, script(refuse(503), refuse(502), answer(jobs.Cancelled, "")), nil, jobs.Cancelled, nil},
		"cancel what was cancelled":  {cancel, refuse(409), details(jobs.Cancelled), jobs.Cancelled, nil},
		"cancel what has succeeded":  {cancel, refuse(409), details(jobs.Succeeded), jobs.Succeeded, nil},
		"cancel what is deleted":     {cancel, refuse(410), nil, "", both(is(jobs.ErrUnknown), problemOf(410))},
		"cancel nothing":             {cancel, refuse(404), nil, "", both(is(jobs.ErrUnknown), problemOf(404))},
		"retry":                      {again, answer(jobs.Queued, ""), nil, jobs.Queued, nil},
		"retry after a lost answer":  {again, script(cut, refuse(409)), details(jobs.Running), jobs.Running, nil},
		"retry a success":            {again, refuse(409), details(jobs.Succeeded), "", both(is(jobs.ErrConflict), problemOf(409))},
		"retry what cannot run":      {again, refuse(409), details(jobs.Failed), "", is(jobs.ErrConflict)},
		"the state is not readable":  {again, refuse(409), refuse(403), "", is(jobs.ErrConflict)},
		"an answer of something":     {again, text(200, "text/html", "<h1>"), nil, "", is(jobs.ErrNotResult)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var keys []string
				c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet {
						tt.get(w, r)
						return
					}
					keys = append(keys, r.Header.Get("Idempotency-Key"))
					tt.post(w, r)
				})
				res, err := tt.verb(c)
				if err == nil && tt.want != nil || err != nil && (tt.want == nil || !tt.want(err)) || res.State != tt.state {
					t.Errorf("state %q, error %v; want state %q", res.State, err, tt.state)
				}
				for _, key := range keys {
					if key == "" || key != keys[0] {
						t.Errorf("keys %q, want one for all tries", keys)
					}
				}
			})
		})
	}
}

func TestAPIErrors(t *testing.T) {
	get := func(ctx context.Context, c *jobs.Client) error { _, err := c.Get(ctx, anID); return err }
	list := func(ctx context.Context, c *jobs.Client) (last error) {
		for _, err := range c.List(ctx, jobs.Filter{}) {
			last = err
		}
		return last
	}
	retry := func(ctx context.Context, c *jobs.Client) error { _, err := c.Retry(ctx, anID); return err }
	elsewhere := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://evil.example/?"+secret+r.URL.Path, http.StatusTemporaryRedirect)
	}
	for name, tt := range map[string]struct {
		call    func(context.Context, *jobs.Client) error
		handler http.HandlerFunc
		want    func(error) bool
		message string
		most    time.Duration
	}{
		"no token":           {get, problem(401, "needs a token"), problemOf(401), "Config.Token with the role viewer, or submit for its own jobs", 0},
		"weak token":         {retry, problem(403, "needs the role operator"), problemOf(403), "Config.Token with the role operator", 0},
		"list, weak token":   {list, problem(403, "needs the role viewer"), problemOf(403), "Config.Token with the role viewer", 0},
		"unknown":            {get, problem(404, "no such job"), is(jobs.ErrUnknown), "no such job", 0},
		"tells the token":    {get, problem(401, "no such token: "+secret), problemOf(401), "no such token: …", 0},
		"a redirect":         {get, elsewhere, problemOf(307), "set Config.API", 0},
		"a page":             {get, text(200, "text/html", "<h1>"), is(jobs.ErrNotResult), "", 0},
		"other JSON":         {get, text(200, "application/json", `{"job":{},"status":{}}`), is(jobs.ErrNotResult), "", 0},
		"no list":            {list, text(200, "application/json", `{"next":"x"}`), is(jobs.ErrNotResult), "", 0},
		"a list of nothing":  {list, text(200, "application/json", `{"jobs":[{}]}`), is(jobs.ErrNotResult), "", 0},
		"a list in circles":  {list, text(200, "application/json", `{"jobs":[],"next":"x"}`), is(jobs.ErrNotResult), "the same", 0},
		"an endless answer":  {get, endless, nil, "too large", 0},
		"bad gateway":        {get, refuse(502), problemOf(502), "", 30 * time.Second},
		"asks to wait":       {get, after("60", refuse(503)), problemOf(503), "", 0},
		"asks to wait a bit": {get, after("20", refuse(429)), problemOf(429), "", 20 * time.Second},
		"silent":             {get, silent, func(err error) bool { return !errors.Is(err, context.DeadlineExceeded) }, "no answer in time", 40 * time.Second},
		"falls silent":       {get, halfway, func(err error) bool { return !errors.Is(err, context.DeadlineExceeded) }, "no answer in time", 40 * time.Second},
		"cut":                {get, cut, nil, "EOF", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logBuffer
				c := clientWith(t, jobs.Config{Token: secret, Logger: log.logger()}, func(w http.ResponseWriter, r *http.Request) {
					if r.Host != "127.0.0.1:8420" {
						t.Errorf("asked %s with the token %q", r.Host, r.Header.Get("Authorization"))
					}
					tt.handler(w, r)
				})
				begin := time.Now()
				err := tt.call(t.Context(), c)
				if err == nil || tt.want != nil && !tt.want(err) || !strings.Contains(err.Error(), tt.message) {
					t.Errorf("error %v, want one that says %q", err, tt.message)
				}
				if d := time.Since(begin); d > tt.most {
					t.Errorf("took %v, want at most %v", d, tt.most)
				}
				if strings.Contains(fmt.Sprint(err)+log.String(), secret) {
					t.Errorf("tells the token: %v %s", err, &log)
				}
			})
		})
	}
}

// TestProblemsAreShort checks that a server cannot fill or forge a log.
func TestProblemsAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("ü", 100_000) + "\n"
		body := fmt.Sprintf(`{"title":%q,"detail":%q,"pointer":%q}`, "a\nb\x1b[31mc", long, long)
		_, err := clientOf(t, text(418, "application/problem+json", strings.ReplaceAll(body, `\x1b`, `\u001b`))).Get(t.Context(), anID)
		if err == nil || len(err.Error()) > 10_000 || strings.ContainsAny(err.Error(), "\n\x1b") || !strings.Contains(err.Error(), "a b [31mc") {
			t.Errorf("error of %d bytes: %.300v", len(err.Error()), err)
		}
	})
}

func TestAPICallEndsWithItsContext(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{"silent": silent, "refused": refuse(500), "refused, then silent": script(refuse(500), silent)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				begin := time.Now()
				_, err := clientOf(t, h).Get(ctx, anID)
				if err == nil || time.Since(begin) > 3*time.Second {
					t.Errorf("error %v after %v", err, time.Since(begin))
				}
				if name != "refused" && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want that of the context", err)
				}
				if name != "silent" && !problemOf(500)(err) {
					t.Errorf("error %v, want the last answer too", err)
				}
			})
		})
	}
}

func TestListGoesThroughPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := strings.Replace(anID, "019", "01a", 1)
		var asked []string
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.RawQuery)
			page := map[string]string{
				"":    `{"jobs":[` + state(jobs.Failed, "") + `],"next":"a&b"}`,
				"a&b": `{"jobs":[],"next":"c"}`, // a page may be empty although more follow
				"c":   `{"jobs":[` + strings.ReplaceAll(state(jobs.Failed, ""), anID, other) + `]}`,
			}[r.URL.Query().Get("cursor")]
			text(200, "application/json", page)(w, r)
		})
		filter := jobs.Filter{
			State: jobs.Failed, Program: "forecast", Node: "n1", Label: "meter=4 2", Text: "ü&",
			Since: time.Date(2026, 11, 22, 6, 16, 0, 5, time.UTC), Until: time.Date(2026, 11, 23, 0, 0, 0, 0, time.FixedZone("", 3600)),
		}
		var ids []string
		for res, err := range c.List(t.Context(), filter) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, res.ID)
		}
		if diff := cmp.Diff([]string{anID, other}, ids); diff != "" {
			t.Error(diff)
		}
		const all = "label=meter%3D4+2&limit=100&node=n1&program=forecast&since=2026-11-22T06%3A16%3A00.000000005Z&state=failed&text=%C3%BC%26&until=2026-11-23T00%3A00%3A00%2B01%3A00"
		if diff := cmp.Diff([]string{all, "cursor=a%26b&" + all, "cursor=c&" + all}, asked); diff != "" {
			t.Error(diff)
		}
		asked = nil
		for range c.List(t.Context(), jobs.Filter{}) {
			break
		}
		if diff := cmp.Diff([]string{"limit=100"}, asked); diff != "" {
			t.Errorf("after a break: %s", diff)
		}
	})
}

func TestAPIRefusesBadIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, never(t))
		for _, id := range []string{"", "x", "../nodes/n1", strings.ToUpper(anID), anID + "/retry"} {
			if _, err := c.Get(t.Context(), id); err == nil {
				t.Errorf("%q was accepted", id)
			}
			if _, err := c.Cancel(t.Context(), id); err == nil {
				t.Errorf("%q was accepted", id)
			}
		}
	})
}

func TestBadToken(t *testing.T) {
	for _, token := range []string{"s3cret\n", " s3cret", "s3cret\r\nHost: x", "s\x00"} {
		_, err := jobs.New(jobs.Config{Token: token})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: error %v", token, err)
		}
	}
	for _, api := range []string{"node.example", "https://u:p@node.example", "https://node.example?x"} {
		if _, err := jobs.New(jobs.Config{API: api}); err == nil || !strings.Contains(err.Error(), "API") || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: error %v", api, err)
		}
	}
}

// TestTokenStaysWithTheAPI checks that no result is asked for with the token.
func TestTokenStaysWithTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientWith(t, jobs.Config{Token: secret, BaseURL: "http://node.example/results", API: "http://api.example/x/"}, func(w http.ResponseWriter, r *http.Request) {
			if auth := r.Header.Get("Authorization"); (r.Host == "api.example") != (auth != "") {
				t.Errorf("%s got the token %q", r.Host, auth)
			}
			if r.URL.Path == "/x/api/v1/jobs/"+anID {
				details(jobs.Queued)(w, r)
				return
			}
			answer(jobs.Succeeded, `,"result":1`)(w, r)
		})
		if _, err := c.Get(t.Context(), anID); err != nil {
			t.Error(err)
		}
		if _, err := c.Wait(t.Context(), resultURL); err != nil {
			t.Error(err)
		}
	})
}
