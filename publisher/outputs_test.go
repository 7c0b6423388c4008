package publisher

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// failedWith makes a job that has failed and left files.
func (b *bench) failedWith(names ...string) string {
	b.t.Helper()
	id := b.queued("")
	attempt := b.running(id)
	out := api.Output{Attempt: attempt, LeftOut: []jobs.LeftOut{{Name: "link<b>", Reason: "it is a symbolic link"}}}
	for _, name := range names {
		url := fmt.Sprintf("http://127.0.0.1:8420/%s/files/%s?attempt=%d", id, jobview.EscapePath(name), attempt)
		out.Artifacts = append(out.Artifacts, jobs.Artifact{Name: name, URL: url, Size: 10, SHA256: strings.Repeat("ab", 32)})
		if err := b.store.Create(b.t.Context(), store.FileKey(id, attempt, name), []byte("0123456789")); err != nil {
			b.t.Fatal(err)
		}
	}
	list, err := json.Marshal(out)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Create(b.t.Context(), store.OutputKey(id, attempt), list); err != nil {
		b.t.Fatal(err)
	}
	b.finish(id, attempt, ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed, Error: &jobs.Error{Class: jobs.OutcomeFailed, Message: "m"}})
	return id
}

// Files of a run that failed are listed with its attempt and served as such, and
// as nothing else.
func TestFilesOfAFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	names := []string{"plots/week 1.png", "page.html", "a%2fb", `quote".txt`}
	id := b.failedWith(names...)
	for _, name := range names {
		path := "/" + id + "/files/" + jobview.EscapePath(name)
		if r := b.get(path); r.StatusCode != 404 {
			t.Errorf("%s without its attempt: %d", name, r.StatusCode)
		}
		r := b.get(path + "?attempt=1")
		if body := bodyOf(t, r); r.StatusCode != 200 || body != "0123456789" {
			t.Errorf("%s: %d %s", name, r.StatusCode, body)
		}
		if h := r.Header; h.Get("Content-Security-Policy") != httpio.SandboxPolicy || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", name, h)
		}
	}
	for query, want := range map[string]int{
		"attempt=2": 404, "attempt=0": 400, "attempt=x": 400, "attempt=": 400, "attempt=1&attempt=1": 400, "attempt=99999999999999999999": 400,
	} {
		if r := b.get("/" + id + "/files/page.html?" + query); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", query, r.StatusCode, want)
		}
	}
	for _, name := range []string{"..", "../x", "plots", "plots/..", "/etc/passwd", "absent"} {
		if r := b.get("/" + id + "/files/" + url.PathEscape(name) + "?attempt=1"); r.StatusCode < 400 {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
	var d api.Details
	if err := json.Unmarshal([]byte(bodyOf(t, b.get("/api/v1/jobs/"+id))), &d); err != nil {
		t.Fatal(err)
	}
	if a := d.Attempts[0]; len(a.Artifacts) != len(names) || len(a.LeftOut) != 1 || len(d.Status.Artifacts) != 0 {
		t.Errorf("%+v", a)
	}
	for _, path := range []string{"/" + id, "/jobs/" + id} {
		page := bodyOf(t, b.get(path, "Accept: text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"))
		for _, want := range []string{"/files/plots/week%201.png?attempt=1", "/files/a%252fb?attempt=1", "Not kept: link&lt;b&gt; (it is a symbolic link)."} {
			if !strings.Contains(page, want) {
				t.Errorf("%s does not have %s", path, want)
			}
		}
	}
}

// A signed URL opens the files of a failure, too, by the links of its page.
func TestSignedFilesOfAFailure(t *testing.T) {
	t.Parallel()
	b, _ := newSigned(t)
	id := b.failedWith("a/b.txt")
	query := signedQuery(t, id, time.Hour)
	if r := b.get("/" + id + "/files/a/b.txt?attempt=1"); r.StatusCode != 401 && r.StatusCode != 403 {
		t.Errorf("unsigned: %d", r.StatusCode)
	}
	page := bodyOf(t, b.get("/"+id+"?"+query, "Accept: text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"))
	_, rest, _ := strings.Cut(page, "/files/a/b.txt?")
	link, _, _ := strings.Cut(rest, `"`)
	if r := b.get("/" + id + "/files/a/b.txt?" + html.UnescapeString(link)); r.StatusCode != 200 || bodyOf(t, r) != "0123456789" {
		t.Errorf("the page's link %q gives %d", link, r.StatusCode)
	}
}
