package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	nodeURL = "https://node.example"
	baseURL = "http://site.example"
)

// newHandler returns the website's handler, and the fake that takes its jobs.
func newHandler(t *testing.T) (http.Handler, *jobstest.Fake) {
	t.Helper()
	fake := jobstest.NewFake(t)
	s, err := newSite(fake.Client, nodeURL, baseURL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s.handler(), fake
}

func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	id := jobs.NewID()
	tests := map[string]struct {
		method, target, body string
		headers              []string
		status               int
		says                 string
	}{
		"form":                 {"GET", "/", "", nil, 200, `value="336" checked`},
		"page of a job":        {"GET", "/forecasts/" + id, "", nil, 200, `<runnerbean-result src="` + nodeURL + "/" + id + `">`},
		"its link":             {"GET", "/forecasts/" + id, "", nil, 200, `href="` + nodeURL + "/" + id + `"`},
		"its script":           {"GET", "/forecasts/" + id, "", nil, 200, `src="` + nodeURL + `/runnerbean.js"`},
		"no id":                {"GET", "/forecasts/x", "", nil, 404, "nothing here"},
		"id with a quote":      {"GET", "/forecasts/%22%3E%3Cscript%3E", "", nil, 404, "nothing here"},
		"elsewhere":            {"GET", "/elsewhere", "", nil, 404, "nothing here"},
		"input":                {"GET", "/data/demand.json", "", nil, 200, `"seasons":[48,336],"horizon":336`},
		"input, another":       {"GET", "/data/demand.json?weeks=2&horizon=48", "", nil, 200, `"horizon":48`},
		"too many weeks":       {"GET", "/data/demand.json?weeks=13", "", nil, 400, "weeks must be"},
		"weeks no number":      {"GET", "/data/demand.json?weeks=a", "", nil, 400, "weeks must be"},
		"horizon too long":     {"GET", "/data/demand.json?horizon=1345", "", nil, 400, "horizon must be"},
		"what happened":        {"GET", "/data/actual.json", "", nil, 200, `"start":"2000-07-31T00:00:00+01:00"`},
		"health":               {"GET", "/healthz", "", nil, 200, "ok"},
		"style":                {"GET", "/style.css", "", nil, 200, "color-scheme"},
		"script":               {"GET", "/page.js", "", nil, 200, "runnerbean-result"},
		"icon":                 {"GET", "/icon.svg", "", nil, 200, "<svg"},
		"order":                {"POST", "/forecasts", "horizon=96", nil, 303, ""},
		"order, same origin":   {"POST", "/forecasts", "horizon=96", []string{"Sec-Fetch-Site", "same-origin"}, 303, ""},
		"order from elsewhere": {"POST", "/forecasts", "horizon=96", []string{"Sec-Fetch-Site", "cross-site"}, 403, ""},
		"order, other origin":  {"POST", "/forecasts", "horizon=96", []string{"Origin", "https://evil.example"}, 403, ""},
		"order, too short":     {"POST", "/forecasts", "horizon=47", nil, 422, "from 48 to 1344"},
		"order, too long":      {"POST", "/forecasts", "horizon=1345", nil, 422, "from 48 to 1344"},
		"order, no number":     {"POST", "/forecasts", "horizon=<b>", nil, 422, "from 48 to 1344"},
		"order, not a form":    {"POST", "/forecasts", "%zz", nil, 400, "could not be read"},
		"order, huge":          {"POST", "/forecasts", strings.Repeat("horizon=9&", 1000), nil, 413, "too much"},
		"wrong method":         {"PUT", "/forecasts", "", nil, 405, ""},
		"delete a page":        {"DELETE", "/", "", nil, 405, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := newHandler(t)
			w := ask(h, test.method, test.target, test.body, test.headers...)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
				t.Errorf("got %d %.300s, want %d and %q", w.Code, w.Body, test.status, test.says)
			}
			if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self' "+nodeURL+";") {
				t.Errorf("policy is %q", policy)
			}
		})
	}
}

func TestUnchangedAnswersAreNotSentAgain(t *testing.T) {
	t.Parallel()
	h, _ := newHandler(t)
	tag := ask(h, "GET", "/data/demand.json", "").Header().Get("ETag")
	if w := ask(h, "GET", "/data/demand.json", "", "If-None-Match", tag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("got %d with %d bytes, want 304", w.Code, w.Body.Len())
	}
	if w := ask(h, "GET", "/data/demand.json?horizon=48", "", "If-None-Match", tag); w.Code != 200 {
		t.Errorf("another input: got %d, want 200", w.Code)
	}
}

func TestInputOfAJobHasItsDigest(t *testing.T) {
	t.Parallel()
	h, fake := newHandler(t)
	ask(h, "POST", "/forecasts", "horizon=672")
	in := fake.RequireEnqueued(t, "forecast", 1)[0].Input
	body := ask(h, "GET", strings.TrimPrefix(in.URL, baseURL), "").Body.Bytes()
	if digest(body) != in.SHA256 {
		t.Errorf("%s has the digest %s, the job says %s", in.URL, digest(body), in.SHA256)
	}
	var doc input
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Series.Values) != 2688 || doc.Horizon != 672 {
		t.Errorf("input has %d values for %d more", len(doc.Series.Values), doc.Horizon)
	}
}

func TestReadDemand(t *testing.T) {
	t.Parallel()
	s, err := readDemand(demandCSV)
	if err != nil {
		t.Fatal(err)
	}
	first := s.upTo(2)
	want := series{Start: first.Start, Interval: 1800, Unit: "MW", Values: []int{22262, 21756}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	faults := map[string][]byte{
		"short":      demandCSV[:2000],
		"gap":        bytes.Replace(demandCSV, []byte("2000-06-05T01:00"), []byte("2000-06-05T01:10"), 1),
		"no number":  bytes.Replace(demandCSV, []byte("22262"), []byte("many"), 1),
		"no time":    bytes.Replace(demandCSV, []byte("2000-06-05T01:00"), []byte("noon"), 1),
		"two commas": bytes.Replace(demandCSV, []byte("22262"), []byte("22,262"), 1),
	}
	for name, text := range faults {
		if _, err := readDemand(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	environment := map[string]string{"WEBSITE_LISTEN": "127.0.0.1:9", "RUNNERBEAN_BASE_URL": "https://a.example/"}
	getenv := func(name string) string { return environment[name] }
	got, err := parse([]string{"-listen", "127.0.0.1:8"}, getenv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := settings{listen: "127.0.0.1:8", beanstalkd: "127.0.0.1:11300", prefix: "runnerbean", node: "https://a.example"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, args := range [][]string{{"-node", "ftp://x"}, {"-node", "http://x; script-src *"}, {"-node", "http://u:p@x"}, {"-base-url", "x"}, {"extra"}, {"-unknown"}} {
		if _, err := parse(args, getenv, io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
}

// TestServer starts the whole server and sends the form as a browser does.
func TestServer(t *testing.T) {
	t.Parallel()
	fake := jobstest.NewFake(t)
	base, stop := start(t, "-beanstalkd", fake.Config().Beanstalkd[0], "-prefix", "test", "-node", fake.URL)
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.PostForm(base+"/forecasts", url.Values{"horizon": {"48"}})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	job := fake.RequireEnqueued(t, "forecast", 1)[0]
	if response.StatusCode != 200 || response.Request.URL.Path != "/forecasts/"+job.ID {
		t.Errorf("came to %s with %s", response.Request.URL, response.Status)
	}
	if job.Result.URL != fake.URL+"/"+job.ID || !strings.HasPrefix(job.Input.URL, base+"/data/demand.json?") {
		t.Errorf("job is %+v", job)
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// start runs the server on a free port until the caller calls stop or the test ends.
func start(t *testing.T, args ...string) (base string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, append(args, "-listen", addr), func(string) string { return "" }, io.Discard)
	}()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if response, err := client.Get("http://" + addr + "/healthz"); err == nil {
			response.Body.Close()
			return "http://" + addr, func() error { cancel(); return <-ended }
		}
		select {
		case err := <-ended:
			t.Fatalf("ended at start: %v", err)
		case <-tick.C:
		}
	}
}
