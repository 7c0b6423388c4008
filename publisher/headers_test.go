package publisher

import (
	"net/http"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// TestEveryAnswerIsGuardedByItsHeaders checks the header fields of all kinds of answers.
func TestEveryAnswerIsGuardedByItsHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	guarded, _, _ := newGuarded(t)
	b.register(1)
	id := b.withFile()
	type request struct {
		b            *bench
		method, path string
		accept       string
	}
	requests := []request{
		{b, "GET", "/nothing/here", ""},
		{b, "PUT", "/", ""},
		{b, "OPTIONS", "/" + id, ""},
		{b, "GET", "/" + id, ""},
		{guarded, "GET", "/api/v1/jobs", ""},
		{guarded, "GET", "/", "text/html"},
		{guarded, "GET", "/login", "text/html"},
	}
	for _, r := range b.p.table() {
		if r.method == http.MethodGet {
			requests = append(requests, request{b, "GET", pathOf(r, id), "application/json"}, request{b, "GET", pathOf(r, id), "text/html"})
		}
	}
	for _, q := range requests {
		r := q.b.askBriefly(q.method, q.path, "Accept: "+q.accept)
		h, policy := r.Header, r.Header.Get("Content-Security-Policy")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cross-Origin-Opener-Policy": "same-origin",
			"Permissions-Policy": "camera=(), geolocation=(), microphone=()", "Strict-Transport-Security": "",
		} {
			if got := h.Get(name); got != want || len(h[name]) > 1 {
				t.Errorf("%s %s (%s): %s: %q", q.method, q.path, q.accept, name, h[name])
			}
		}
		if referrer := h.Get("Referrer-Policy"); referrer != "no-referrer" && referrer != "same-origin" {
			t.Errorf("%s: Referrer-Policy: %q", q.path, referrer)
		}
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
				t.Errorf("%s %s (%s): Content-Security-Policy: %s", q.method, q.path, q.accept, policy)
			}
		}
		if page := strings.HasPrefix(h.Get("Content-Type"), "text/html"); page && !strings.Contains(policy, "base-uri 'none'") {
			t.Errorf("%s: a page under %s", q.path, policy)
		}
	}
}

// TestNothingOfAProgramIsRendered checks that the header fields keep browsers from
// running a file that a program has written, whatever its name.
func TestNothingOfAProgramIsRendered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const evil = "<!doctype html><script>alert(1)</script>"
	names := []string{"page.html", "page.HTM", "image.svg", "page.xhtml", "x.xml", "x.js", "x.css", "x.pdf", "x.json", "x.txt", "none", "x.html.png", "x.mht", "x.swf"}
	id := b.queued("")
	attempt := b.running(id)
	var files []jobs.Artifact
	for _, name := range names {
		files = append(files, jobs.Artifact{Name: name, Size: int64(len(evil)), SHA256: strings.Repeat("a", 64)})
		if err := b.store.Create(t.Context(), store.FileKey(id, attempt, name), []byte(evil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.store.Create(t.Context(), store.LogKey(id, attempt), []byte(evil)); err != nil {
		t.Fatal(err)
	}
	b.succeed(id, attempt, `{"content_type":"text/html","html":"<script>alert(1)</script>"}`, files...)
	for _, name := range names {
		r := b.get("/"+id+"/files/"+name, asBrowser)
		kind, h := r.Header.Get("Content-Type"), r.Header
		if r.StatusCode != 200 || h.Get("Content-Security-Policy") != httpio.SandboxPolicy || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", name, r.StatusCode, h)
		}
		inline := strings.HasPrefix(h.Get("Content-Disposition"), "inline")
		// A page shows an SVG as an image, which runs no script. Opened alone, it is a download.
		active := strings.Contains(kind, "html") || strings.Contains(kind, "xml") && (inline || kind != "image/svg+xml") || strings.Contains(kind, "script")
		if inline && !strings.HasPrefix(kind, "image/") || active {
			t.Errorf("%s: %s %s", name, kind, h.Get("Content-Disposition"))
		}
	}
	for path, want := range map[string]string{"/log": "text/plain; charset=utf-8", "?format=json": httpio.TypeJSON} {
		if r := b.get("/"+id+path, asBrowser); r.Header.Get("Content-Type") != want || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, r.Header)
		}
	}
	if page := bodyOf(t, b.get("/"+id, asBrowser)); strings.Contains(page, "<script>alert") {
		t.Error("the page has the script of the result")
	}
}
