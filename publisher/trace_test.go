package publisher

import (
	"encoding/json"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestPostTakesTheTraceOfTheRequest: a repeated request with another trace gets the same
// job.
func TestPostTakesTheTraceOfTheRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const first, second = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	traceOf := func(header, body string) (status int, trace string) {
		t.Helper()
		r := b.ask("POST", "/api/v1/jobs", body, jsonBody, "traceparent: "+header)
		if r.StatusCode >= 300 {
			return r.StatusCode, ""
		}
		rec, err := b.ledger.Get(t.Context(), decodeAs[jobs.Result](t, r).ID)
		var job jobs.Job
		if err == nil {
			err = json.Unmarshal(rec.Document, &job)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, job.Traceparent
	}
	id := jobs.NewID()
	mine := `{"id":"` + id + `","program":"forecast","input":{"data":1}}`
	own := `{"program":"forecast","input":{"data":1},"traceparent":"` + second + `"}`
	for _, test := range []struct {
		header, body string
		status       int
		want         string
	}{
		{first, mine, 201, first},
		{second, mine, 200, first},
		{"", mine, 200, first},
		{first, own, 201, second},
		{"nonsense", goodJob, 201, ""},
	} {
		if status, got := traceOf(test.header, test.body); status != test.status || got != test.want {
			t.Errorf("%+v: %d %q", test, status, got)
		}
	}
}
