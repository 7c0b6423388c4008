package publisher

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sum := strings.Repeat("ab", 32)
	names := []string{"plot.png", "page.html", "drawing.svg", "data.csv", `a "b" ä.txt`, "noext", "odd%2fname.json"}
	var artifacts []jobs.Artifact
	for _, name := range names {
		artifacts = append(artifacts, jobs.Artifact{Name: name, Size: 10, SHA256: sum})
	}
	artifacts[5].SHA256 = `"><x`
	id, _ := b.succeeded("1", artifacts...)
	for _, name := range names {
		if err := b.store.Create(t.Context(), store.FileKey(id, 1, name), []byte("0123456789")); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][2]string{
		"plot.png":        {"image/png", "inline; filename=plot.png"},
		"page.html":       {"application/octet-stream", "attachment; filename=page.html"},
		"drawing.svg":     {"image/svg+xml", "attachment; filename=drawing.svg"},
		"data.csv":        {"text/csv; charset=utf-8", "attachment; filename=data.csv"},
		`a "b" ä.txt`:     {"text/plain; charset=utf-8", "attachment; filename*=utf-8''a%20%22b%22%20%C3%A4.txt"},
		"noext":           {"application/octet-stream", "attachment; filename=noext"},
		"odd%2fname.json": {httpio.TypeJSON, "attachment; filename=odd%2fname.json"},
	} {
		path := "/" + id + "/files/" + url.PathEscape(name)
		r := b.get(path)
		h := r.Header
		if body := bodyOf(t, r); r.StatusCode != 200 || body != "0123456789" {
			t.Errorf("%s: %d %s", name, r.StatusCode, body)
		}
		if h.Get("Content-Type") != want[0] || h.Get("Content-Disposition") != want[1] {
			t.Errorf("%s: %s, %s", name, h.Get("Content-Type"), h.Get("Content-Disposition"))
		}
		if h.Get("Content-Security-Policy") != httpio.SandboxPolicy || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != httpio.Immutable {
			t.Errorf("%s: %v", name, h)
		}
		if r := b.get(path, "Range: bytes=2-4"); r.StatusCode != 206 || bodyOf(t, r) != "234" {
			t.Errorf("%s: a range gives %d", name, r.StatusCode)
		}
		if name == "noext" {
			continue
		}
		if r := b.get(path, `If-None-Match: "`+sum+`"`); r.StatusCode != 304 {
			t.Errorf("%s with its tag: %d", name, r.StatusCode)
		}
	}
}

// TestTar reads all files of a job from one tar, which is the same each time.
func TestTar(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	long := strings.Repeat("ä", 120) + "/" + strings.Repeat("b", 200)
	files := map[string]string{"plots/week.png": "0123456789", "empty": "", long: strings.Repeat("x", 70_000)}
	names := []string{"plots/week.png", "empty", long}
	var artifacts []jobs.Artifact
	for _, name := range names {
		artifacts = append(artifacts, jobs.Artifact{Name: name, Size: int64(len(files[name])), SHA256: strings.Repeat("ab", 32)})
	}
	id, _ := b.succeeded("1", artifacts...)
	for name, text := range files {
		if err := b.store.Create(t.Context(), store.FileKey(id, 1, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var first string
	for _, at := range []string{"/", "/results/"} {
		r := b.get(at + id + "/files.tar")
		body := bodyOf(t, r)
		if first == "" {
			first = body
		}
		if r.StatusCode != 200 || body != first || r.Header.Get("Content-Length") != strconv.Itoa(len(body)) || r.Header.Get("Content-Type") != "application/x-tar" ||
			r.Header.Get("Content-Disposition") != "attachment; filename="+id+".tar" || r.Header.Get("Cache-Control") != httpio.Immutable {
			t.Errorf("%d, %d bytes, %v", r.StatusCode, len(body), r.Header)
		}
		if r := b.get(at+id+"/files.tar", "If-None-Match: "+r.Header.Get("ETag")); r.StatusCode != 304 || r.Header.Get("ETag") == "" {
			t.Errorf("with its tag: %d", r.StatusCode)
		}
	}
	var got []string
	for in := tar.NewReader(strings.NewReader(first)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil || string(text) != files[h.Name] || h.Mode != 0o644 || h.ModTime.Before(time.Unix(1, 0)) {
			t.Errorf("%s: %d bytes, %v, %+v", h.Name, len(text), err, h)
		}
		got = append(got, h.Name)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Error(diff)
	}
	if r := b.ask("HEAD", "/"+id+"/files.tar", ""); r.StatusCode != 200 || r.Header.Get("Content-Length") != strconv.Itoa(len(first)) {
		t.Errorf("HEAD: %d %v", r.StatusCode, r.Header)
	}
	page := bodyOf(t, b.get("/"+id, "Accept: text/html"))
	if !strings.Contains(page, `href="/`+id+`/files.tar"`) {
		t.Errorf("the page has no link to it:\n%s", page)
	}
}

// TestTarRefused asks for the files of jobs that have none, and of one that has lost some.
func TestTarRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	none, _ := b.succeeded("1")
	lost, _ := b.succeeded("1", jobs.Artifact{Name: "a"}, jobs.Artifact{Name: "b"})
	half, _ := b.succeeded("1", jobs.Artifact{Name: "a"}, jobs.Artifact{Name: "b"})
	if err := b.store.Create(t.Context(), store.FileKey(half, 1, "a"), nil); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int{none: 404, b.queued(""): 404, b.failed(): 404, jobs.NewID(): 404, lost: 503} {
		if r := b.get("/" + id + "/files.tar"); r.StatusCode != want || r.Header.Get("ETag") != "" {
			t.Errorf("%d %s, want %d", r.StatusCode, bodyOf(t, r), want)
		}
	}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("the answer without the second file is not broken off")
		}
	}()
	b.get("/" + half + "/files.tar")
}

func TestFilesOfALargeResult(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, _ := b.succeeded(sized((1<<20)/4), jobs.Artifact{Name: "x.txt"})
	if err := b.store.Create(t.Context(), store.FileKey(id, 1, "x.txt"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := b.get("/" + id + "/files/x.txt"); r.StatusCode != 200 || bodyOf(t, r) != "x" {
			t.Errorf("got %d", r.StatusCode)
		}
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued(`"attempts":3`)
	attempt := b.running(id)
	b.finish(id, attempt, ledger.Ending{Outcome: jobs.OutcomeError, State: jobs.Queued, ExitCode: 1, Reason: "again"})
	b.running(id)
	for n, text := range map[int]string{1: "first try\n", 2: "<b>0123456789</b>\n"} {
		if err := b.store.Replace(t.Context(), store.LogKey(id, n), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		query, fields string
		status        int
		body          string
	}{
		{"", "", 200, "<b>0123456789</b>\n"},
		{"?attempt=1", "", 200, "first try\n"},
		{"?attempt=2", "", 200, "<b>0123456789</b>\n"},
		{"?attempt=3", "", 404, ""},
		{"?tail=5", "", 200, "</b>\n"},
		{"?tail=0", "", 200, ""},
		{"?tail=1000", "", 200, "<b>0123456789</b>\n"},
		{"", "Range: bytes=3-5", 206, "012"},
		{"", "Range: bytes=-5", 206, "</b>\n"},
		{"?tail=10", "Range: bytes=0-3", 206, "5678"},
		{"?tail=-1", "", 400, ""},
		{"?tail=1&tail=2", "", 400, ""},
		{"?attempt=x", "", 400, ""},
		{"?from=4", "", 200, "123456789</b>\n"},
		{"?from=18", "", 200, ""},
		{"?from=99", "", 200, ""},
		{"?attempt=1&from=6", "", 200, "try\n"},
		{"?from=-1", "", 400, ""},
		{"?from=1&tail=1", "", 400, ""},
		{"?from=1&rendered=true", "", 400, ""},
		{"?rendered=yes", "", 400, ""},
		{"?rendered=false&attempt=1", "", 200, "first try\n"},
	} {
		r := b.get("/" + id + "/log" + test.query)
		if test.fields != "" {
			r = b.get("/"+id+"/log"+test.query, test.fields)
		}
		body := bodyOf(t, r)
		if r.StatusCode != test.status || test.body != "" && body != test.body {
			t.Errorf("%q %s: %d %q, want %d %q", test.query, test.fields, r.StatusCode, body, test.status, test.body)
		}
		if r.StatusCode < 300 && (r.Header.Get("Content-Security-Policy") != httpio.SandboxPolicy || r.Header.Get("Content-Type") != "text/plain; charset=utf-8") {
			t.Errorf("%q: %v", test.query, r.Header)
		}
	}
	for query, want := range map[string]string{"": httpio.NoStore, "?attempt=1": httpio.NoCache} {
		if got := b.get("/" + id + "/log" + query).Header.Get("Cache-Control"); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	r := b.get("/"+id+"/log?attempt=1", "If-Modified-Since: "+b.get("/"+id+"/log?attempt=1").Header.Get("Last-Modified"))
	if r.StatusCode != http.StatusNotModified {
		t.Errorf("the log of an attempt that has ended: %d", r.StatusCode)
	}
}

// TestLongLog asks for a log by position, of which the middle was left out, and
// for its end, which begins inside a character.
func TestLongLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	all := strings.Repeat("größer\n", 100_000) // 9 bytes each
	head, tail := string(logtext.Head([]byte(all[:logtext.EndSize]))), string(logtext.Tail([]byte(all[len(all)-logtext.EndSize:])))
	omitted := int64(len(all) - len(head) - len(tail))
	if err := b.store.Replace(t.Context(), store.LogKey(id, 1), []byte(head+logtext.Gap(omitted)+tail)); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[int]string{0: head, 100: head[100:], len(head): tail, len(head) + 5: tail, len(all) - 10: all[len(all)-10:]} {
		r := b.get(fmt.Sprintf("/%s/log?from=%d", id, from))
		body := bodyOf(t, r)
		position, _ := strconv.Atoi(r.Header.Get("Log-Position"))
		if body != want || all[position:position+len(body)] != body {
			t.Errorf("from %d: %d bytes that are not those at %d", from, len(body), position)
		}
		if got := r.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) {
			t.Errorf("from %d: %s bytes are promised, %d come", from, got, len(body))
		}
		if r.Header.Get("Log-Total") != strconv.Itoa(len(all)) || r.Header.Get("Log-Attempt") != "1" {
			t.Errorf("from %d: %v", from, r.Header)
		}
	}
	for n := range 12 {
		r := b.get(fmt.Sprintf("/%s/log?tail=%d", id, n))
		if body := bodyOf(t, r); r.Header.Get("Content-Length") != strconv.Itoa(len(body)) || !utf8.ValidString(body) || !strings.HasSuffix(all, body) || n-len(body) > 1 {
			t.Errorf("the last %d bytes are %q", n, body)
		}
	}
}

// TestRenderedLog is what a terminal would show.
func TestRenderedLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	log := []byte("Parsing\r\n\x1b[1m 5 %\x1b[0m\r99 % größer\r\nM\xfcll \u202e\n")
	if err := b.store.Replace(t.Context(), store.LogKey(id, 1), log); err != nil {
		t.Fatal(err)
	}
	want := "Parsing\n99 % größer\nM\\xfcll \\u{202e}\n"
	if got := bodyOf(t, b.get("/"+id+"/log?rendered=true")); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := bodyOf(t, b.get("/"+id+"/log")); got != string(log) {
		t.Errorf("%q is not what was written", got)
	}
	if page := bodyOf(t, b.get("/"+id, asBrowser)); !strings.Contains(page, ">"+strings.TrimSpace(want)+"</pre>") {
		t.Errorf("the page does not show %q", want)
	}
}
