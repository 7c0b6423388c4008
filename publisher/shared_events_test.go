package publisher

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
)

// sharedStream opens one stream for several jobs. next returns the job of the next event
// and its kind with the state or the status.
func sharedStream(t *testing.T, base string, wanted ...string) (next func() (id, says string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/results/events?"+url.Values{"job": wanted}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r) //nolint:bodyclose // closed at the end of the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewReader(resp.Body)
	return func() (id, says string) {
		for {
			e, err := readEvent(lines)
			if err != nil {
				t.Fatal(err)
			}
			if e.kind == "" {
				continue
			}
			var doc struct {
				ID, State string
				Status    json.Number
			}
			if err := json.Unmarshal([]byte(e.data), &doc); err != nil {
				t.Fatalf("%v: %s", err, e.data)
			}
			return doc.ID, e.kind + " " + doc.State + string(doc.Status)
		}
	}
}

// collect reads n events and returns what the last one of each job says.
func collect(n int, next func() (id, says string)) map[string]string {
	found := map[string]string{}
	for range n {
		id, says := next()
		found[id] = says
	}
	return found
}

func TestOneStreamFollowsSeveralJobs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	base := b.listen()
	done, running, unknown := b.withFile(), b.queued(""), jobs.NewID()
	attempt := b.running(running)
	next := sharedStream(t, base, done, running, unknown, done)
	found := collect(3, next)
	for id, want := range map[string]string{done: "state succeeded", running: "state running", unknown: "refused 404"} {
		if found[id] != want {
			t.Errorf("%s: %q, want %q", id, found[id], want)
		}
	}
	b.succeed(running, attempt, `1`)
	if id, says := next(); id != running || says != "state succeeded" {
		t.Errorf("after the end: %s %s", id, says)
	}
	if _, err := b.acceptDocument(t.Context(), jobDocument(unknown, ""), ""); err != nil {
		t.Fatal(err)
	}
	if id, says := next(); id != unknown || says != "state queued" {
		t.Errorf("a job that came later: %s %s", id, says)
	}
}

func TestSharedStreamChecksEachSignature(t *testing.T) {
	t.Parallel()
	b, vera := newSigned(t)
	base := b.listen()
	value := func(id string, lasts time.Duration) string {
		q, err := url.ParseQuery(signedQuery(t, id, lasts))
		if err != nil {
			t.Fatal(err)
		}
		return id + "." + q.Get(signature.ParamExpires) + "." + q.Get(signature.ParamSignature)
	}
	good, late, bare, forged := b.withFile(), b.withFile(), b.withFile(), b.withFile()
	wrong := forged + strings.TrimPrefix(value(good, time.Hour), good)
	found := collect(4, sharedStream(t, base, value(good, time.Hour), value(late, -time.Second), bare, wrong))
	for id, want := range map[string]string{good: "state succeeded", late: "refused 403", bare: "refused 401", forged: "refused 403"} {
		if found[id] != want {
			t.Errorf("%s: %q, want %q", id, found[id], want)
		}
	}
	if r := b.askBriefly("GET", "/results/events?job="+bare, vera.bearer()); !strings.Contains(bodyOf(t, r), "event: state") {
		t.Error("a viewer does not get the state")
	}
}

func TestSharedStreamRefusesOtherQueries(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	for _, query := range []string{"", "?job=", "?job=x", "?id=" + id, "?" + strings.Repeat("job="+id+"&", 65)} {
		if r := b.get("/results/events" + query); r.StatusCode != 400 || r.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%.40s: %d %v", query, r.StatusCode, r.Header)
		}
	}
	if r := b.ask("HEAD", "/results/events?for=a-proxy&job="+id, ""); r.StatusCode != 200 {
		t.Errorf("HEAD: %d", r.StatusCode)
	}
}
