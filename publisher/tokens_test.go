package publisher

import (
	"net/http"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/access"
)

const goodJob = `{"program":"forecast","input":{"data":1}}`

func TestWritesAreGuarded(t *testing.T) {
	t.Parallel()
	open := newBench(t)
	token := newBench(t, func(c *Config) { c.Token = "s3cret-s3cret-s3cret" })
	readOnly := newBench(t, func(c *Config) { c.ReadOnly = "set RUNNERBEAN_TOKEN" })
	listed := newBench(t, func(c *Config) { c.CORS = []string{"https://www.example"} })
	named := newBench(t, func(c *Config) { c.BaseURL = "https://results.example/x" })
	for _, test := range []struct {
		name   string
		b      *bench
		fields []string
		status int
	}{
		{"open", open, nil, 201},
		{"localhost", open, []string{"Host: localhost:8420"}, 201},
		{"IPv6", open, []string{"Host: [::1]:8420"}, 201},
		{"a name that is not ours", open, []string{"Host: evil.example"}, 403},
		{"our name", named, []string{"Host: results.example"}, 201},
		{"same origin", open, []string{"Sec-Fetch-Site: same-origin"}, 201},
		{"page of another site", open, []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"other origin", open, []string{"Origin: https://www.example"}, 403},
		{"listed origin", listed, []string{"Origin: https://www.example", "Sec-Fetch-Site: cross-site"}, 201},
		{"origin that is not listed", listed, []string{"Origin: https://other.example", "Sec-Fetch-Site: cross-site"}, 403},
		{"no token", token, nil, 401},
		{"wrong token", token, []string{"Authorization: Bearer s3creT"}, 401},
		{"other scheme", token, []string{"Authorization: Basic s3cret-s3cret-s3cret"}, 401},
		{"token", token, []string{"Authorization: Bearer s3cret-s3cret-s3cret"}, 201},
		{"token, small letters", token, []string{"Authorization: bearer s3cret-s3cret-s3cret", "Host: any.example"}, 201},
		{"read only", readOnly, []string{"Authorization: Bearer s3cret-s3cret-s3cret"}, 403},
	} {
		r := test.b.ask("POST", "/api/v1/jobs", goodJob, append(test.fields, jsonBody)...)
		body := bodyOf(t, r)
		if r.StatusCode != test.status {
			t.Errorf("%s: %d %s, want %d", test.name, r.StatusCode, body, test.status)
		}
		if test.status == 401 && !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: no WWW-Authenticate", test.name)
		}
		if test.b == readOnly && !strings.Contains(body, "RUNNERBEAN_TOKEN") {
			t.Errorf("%s: does not say what to set: %s", test.name, body)
		}
		if strings.Contains(body, "s3cret-s3cret-s3cret") {
			t.Errorf("%s: tells the token", test.name)
		}
	}
	if r := readOnly.get("/api/v1/jobs"); r.StatusCode != 200 {
		t.Errorf("reading: %d", r.StatusCode)
	}
}

func TestWrongTokensAreLimited(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Token = "s3cret-s3cret-s3cret" })
	last := 0
	for range access.FailureBurst + 5 {
		last = b.ask("POST", "/api/v1/jobs", goodJob, jsonBody, "Authorization: Bearer guess").StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the last guess got %d", last)
	}
}
