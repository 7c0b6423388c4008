package publisher

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// batch puts a batch into the ledger, runs it, and returns its id. Its frames are made by frame.
func (b *bench) batch(frames string) string {
	b.t.Helper()
	id := jobs.NewID()
	document := fmt.Sprintf(`{"id":%q,"program":"batch","input":{"data":{"frames":%q,"job":{"program":%q}}},"result":{"url":"http://127.0.0.1:8420/%s"}}`,
		id, frames, testProgram, id)
	accepted, err := b.acceptDocument(context.Background(), []byte(document), "")
	if err != nil || accepted.Err != nil {
		b.t.Fatal(err, accepted.Err)
	}
	b.running(id)
	return id
}

// ofBatch puts a job of a batch into the ledger, as the runner of batches does.
func (b *bench) ofBatch(batch, id string, number int) {
	b.t.Helper()
	document := jobDocument(id, "")
	job, err := jobdoc.Decode(document)
	if err != nil {
		b.t.Fatal(err)
	}
	accepted, err := b.ledger.Accept(context.Background(), []ledger.Entry{{Job: job, Document: document, Batch: batch, Frame: number}})
	if err != nil || accepted[0].Err != nil {
		b.t.Fatal(err, accepted)
	}
}

// frame makes a queued frame of a batch, and returns its id.
func (b *bench) frame(batch string, number int) string {
	b.t.Helper()
	id := jobs.FrameID(batch, number)
	b.ofBatch(batch, id, number)
	return id
}

// withFiles makes a queued job succeed, and leave files with their names as their texts.
func (b *bench) withFiles(id string, names ...string) {
	b.t.Helper()
	var artifacts []jobs.Artifact
	for _, name := range names {
		artifacts = append(artifacts, jobs.Artifact{Name: name, Size: int64(len(name)), SHA256: strings.Repeat("ab", 32), URL: "http://127.0.0.1:8420/" + id + "/files/" + name})
		if err := b.store.Create(context.Background(), store.FileKey(id, 1, name), []byte(name)); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.store.Create(context.Background(), store.LogKey(id, 1), []byte("log\n")); err != nil {
		b.t.Fatal(err)
	}
	b.succeed(id, b.running(id), `{"artifacts":7}`, artifacts...)
}

// TestFramePaths asks for frames and the bundle below the URL of their batch, and for the same at
// their own URLs.
func TestFramePaths(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	batch := b.batch("0-9")
	done, queued, bundle := b.frame(batch, 0), b.frame(batch, 9), jobs.BundleID(batch)
	b.withFiles(done, "plot.png")
	b.ofBatch(batch, bundle, batches.Bundle)
	b.withFiles(bundle, "film.mp4")
	for path, id := range map[string]string{"/frames/0": done, "/frames/9": queued, "/bundle": bundle} {
		for _, below := range []string{"", "?format=json", "/log", "/log?tail=2", "/files.tar", "/files/plot.png", "/files/film.mp4", "/files/none", "/events"} {
			for _, method := range []string{"GET", "HEAD"} {
				if below == "/events" && method == "GET" && id == queued {
					continue // it does not end
				}
				for _, folder := range []string{"/", "/results/"} {
					own, got := b.ask(method, "/"+id+below, ""), b.ask(method, folder+batch+path+below, "")
					own.Header.Del("Date")
					if diff := cmp.Diff(own.Header, got.Header); own.StatusCode != got.StatusCode || diff != "" {
						t.Errorf("%s %s%s: %d, want %d: %s", method, path, below, got.StatusCode, own.StatusCode, diff)
					}
					if a, b := bodyOf(t, own), bodyOf(t, got); a != b && own.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("%s %s%s: %s, want %s", method, path, below, b, a)
					}
				}
			}
		}
	}
	tag := b.get("/" + batch + "/frames/0").Header.Get("ETag")
	if r := b.get("/"+batch+"/frames/0", "If-None-Match: "+tag); r.StatusCode != 304 {
		t.Errorf("with its tag %s: %d", tag, r.StatusCode)
	}
	page := bodyOf(t, b.get("/results/"+batch+"/frames/0", asBrowser))
	if !strings.Contains(page, `"/results/`+batch+`/frames/0/files.tar"`) && !strings.Contains(page, `/results/`+batch+`/frames/0/files/plot.png`) {
		t.Errorf("the page has no link below its path:\n%s", page)
	}
	for path, want := range map[string]string{"/frames/0/": "../../../" + batch + "/frames/0", "/bundle/?x=1": "../../" + batch + "/bundle?x=1"} {
		if r := b.get("/" + batch + path); r.StatusCode != 308 || r.Header.Get("Location") != want {
			t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
		}
	}
	upper := b.get("/" + strings.ToUpper(batch) + "/frames/0/log")
	if upper.StatusCode != 308 || upper.Header.Get("Location") != "../../../"+batch+"/frames/0/log" {
		t.Errorf("upper case: %v", upper.Header)
	}
}

// TestFramesThatAreNotThere asks for frames that are not made, not a frame, or of no batch.
func TestFramesThatAreNotThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	open, ended, plain := b.batch("1-9"), b.batch("1-9"), b.failed()
	b.withFiles(b.frame(ended, 1))
	b.succeed(ended, 1, "{}")
	nobody := "0190163d-8694-739b-aea5-966c26f8ad91"
	deleted := b.batch("1")
	b.succeed(deleted, 1, "{}")
	b.do(ledger.VerbDelete, deleted)
	for path, want := range map[string]string{
		open + "/frames/1": "has not made its frame 1 yet", open + "/bundle/log": "has not made its bundle yet", open + "/frames/7/files/x": "has not made its frame 7 yet",
		ended + "/frames/2": "has no frame 2", ended + "/bundle": "has no bundle", plain + "/frames/1": "no job with this id", nobody + "/frames/1": "no job with this id",
		ended + "/frames/2/events": "has no frame 2", ended + "/bundle/events": "has no bundle", plain + "/frames/1/events": "no batch with this id",
		open + "/frames/01": "nothing at this path", open + "/frames/+1": "nothing at this path", open + "/frames/-1": "nothing at this path", open + "/frames/x": "nothing at this path",
		open + "/frames/2147483648": "nothing at this path", open + "/frames": "nothing at this path", open + "/frames/1/x": "nothing at this path", "x/frames/1": "nothing at this path", "x/bundle": "nothing at this path",
	} {
		r := b.get("/" + path)
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != 404 || !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %d %+v", path, r.StatusCode, p)
		}
	}
	if r := b.get("/" + deleted + "/frames/1"); r.StatusCode != 410 {
		t.Errorf("of a deleted batch: %d", r.StatusCode)
	}
	b.do(ledger.VerbDelete, jobs.FrameID(ended, 1))
	if r := b.get("/" + ended + "/frames/1"); r.StatusCode != 410 {
		t.Errorf("deleted: %d", r.StatusCode)
	}
}

// TestSignedFrames opens frames with the signature of their batch, and with no other.
func TestSignedFrames(t *testing.T) {
	t.Parallel()
	b, vera := newSigned(t)
	batch, other := b.batch("1-2"), b.batch("1-2")
	frame := b.frame(batch, 1)
	b.withFiles(frame, "plot.png")
	b.succeed(batch, 1, "{}")
	good := signedQuery(t, batch, time.Hour)
	for _, below := range []string{"", "/log", "/files/plot.png", "/files.tar", "/events"} {
		for query, want := range map[string]int{"": 401, good: 200, signedQuery(t, batch, -time.Second): 403, signedQuery(t, other, time.Hour): 403, signedQuery(t, frame, time.Hour): 403} {
			if r := b.askBriefly("GET", "/"+batch+"/frames/1"+below+"?"+query); r.StatusCode != want {
				t.Errorf("%s?%s: %d, want %d", below, query, r.StatusCode, want)
			}
		}
		if r := b.askBriefly("GET", "/"+batch+"/frames/1"+below, vera.bearer()); r.StatusCode != 200 {
			t.Errorf("%s, a viewer: %d", below, r.StatusCode)
		}
	}
	if r := b.get("/" + frame + "?" + good); r.StatusCode != 403 {
		t.Errorf("the frame itself with the signature of its batch: %d", r.StatusCode)
	}
	for query, want := range map[string]int{"": 401, good: 200, signedQuery(t, frame, time.Hour): 403} {
		if r := b.askBriefly("GET", "/"+batch+"/bundle.tar?"+query); r.StatusCode != want {
			t.Errorf("bundle.tar?%s: %d, want %d", query, r.StatusCode, want)
		}
	}
	got := decodeAs[jobs.Result](t, b.get("/"+batch+"/frames/1?"+good))
	u, err := url.Parse(got.Artifacts[0].URL)
	if err != nil || u.Path != "/"+batch+"/frames/1/files/plot.png" {
		t.Fatal(err, got.Artifacts)
	}
	if r := b.get(u.RequestURI()); r.StatusCode != 200 || bodyOf(t, r) != "plot.png" {
		t.Errorf("the file: %d", r.StatusCode)
	}
}

// TestBundleTar reads the files of all frames from one tar, which is the same each time.
func TestBundleTar(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	batch := b.batch("2-600")
	var want []string
	for n := 2; n <= 600; n++ { // more than one page
		id := b.frame(batch, n)
		switch n % 100 {
		case 2:
			b.withFiles(id, "b.png", "a/c.txt")
			want = append(want, fmt.Sprintf("%03d/b.png", n), fmt.Sprintf("%03d/a/c.txt", n))
		case 3:
			b.withFiles(id)
		case 4:
			b.finish(id, b.running(id), ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed})
		case 5:
			b.do(ledger.VerbCancel, id)
		default:
			b.withFiles(id, "x")
			want = append(want, fmt.Sprintf("%03d/x", n))
		}
	}
	bundle := jobs.BundleID(batch)
	b.ofBatch(batch, bundle, batches.Bundle)
	b.withFiles(bundle, "film.mp4")
	if r := b.get("/" + batch + "/bundle.tar"); r.StatusCode != 409 || !strings.Contains(bodyOf(t, r), "has not ended") {
		t.Errorf("while the batch runs: %d", r.StatusCode)
	}
	b.succeed(batch, 1, "{}")
	r := b.get("/" + batch + "/bundle.tar")
	first := bodyOf(t, r)
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/x-tar" || r.Header.Get("Content-Disposition") != "attachment; filename="+batch+".tar" {
		t.Fatalf("%d %v %.300s", r.StatusCode, r.Header, first)
	}
	if bodyOf(t, b.get("/results/"+batch+"/bundle.tar")) != first {
		t.Error("it is not the same again")
	}
	if diff := cmp.Diff(want, tarNames(t, first)); diff != "" {
		t.Error(diff)
	}
	if r := b.ask("HEAD", "/"+batch+"/bundle.tar", ""); r.StatusCode != 200 || bodyOf(t, r) != "" {
		t.Errorf("HEAD: %d", r.StatusCode)
	}
	b.do(ledger.VerbRetry, jobs.FrameID(batch, 4))
	if r := b.get("/" + batch + "/bundle.tar"); r.StatusCode != 409 || !strings.Contains(bodyOf(t, r), "1 frame ") {
		t.Errorf("while a frame is retried: %d", r.StatusCode)
	}
}

// tarNames returns the names of the files in a tar, which have their base names as texts.
func tarNames(t *testing.T, body string) (names []string) {
	t.Helper()
	for in := tar.NewReader(strings.NewReader(body)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		_, want, _ := strings.Cut(h.Name, "/")
		if err != nil || string(text) != want || h.Mode != 0o644 || h.Uid != 0 || h.Uname != "" || !h.ModTime.Equal(time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)) {
			t.Errorf("%s: %q, %v, %+v", h.Name, text, err, h)
		}
		names = append(names, h.Name)
	}
}

// TestBundleTarRefused asks for the files of no batch, of frames without files, and of frames
// that have lost some.
func TestBundleTarRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	empty, none, lost, half := b.batch("1"), b.batch("1"), b.batch("1"), b.batch("1-2")
	b.withFiles(b.frame(none, 1))
	for _, id := range []string{b.frame(lost, 1), b.frame(half, 2)} {
		b.succeed(id, b.running(id), "1", jobs.Artifact{Name: "a", Size: 1})
	}
	long := b.frame(half, 1) // more than is held back before the answer begins
	b.succeed(long, b.running(long), "1", jobs.Artifact{Name: "a", Size: 100_000})
	if err := b.store.Create(t.Context(), store.FileKey(long, 1, "a"), make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{empty, none, lost, half} {
		b.succeed(id, 1, "{}")
	}
	plain, _ := b.succeeded("1")
	for id, want := range map[string]int{empty: 404, none: 404, plain: 404, jobs.NewID(): 404, lost: 503} {
		if r := b.get("/" + id + "/bundle.tar"); r.StatusCode != want {
			t.Errorf("%d %s, want %d", r.StatusCode, bodyOf(t, r), want)
		}
	}
	addr, stop := b.serve()
	client := &http.Client{Transport: &http.Transport{}}
	r := do(t, client, "GET", "http://"+addr+"/"+half+"/bundle.tar")
	if body, err := io.ReadAll(r.Body); err == nil || r.StatusCode != 200 {
		t.Errorf("the answer without the file of frame 2 is not broken off: %d, %d bytes", r.StatusCode, len(body))
	}
	r.Body.Close()
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(b.logged.String(), half) || !strings.Contains(b.logged.String(), "frame=2") {
		t.Errorf("the log does not say which frame: %s", b.logged)
	}
}

// TestListFrames reads pages of the frames of a batch.
func TestListFrames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	batch := b.batch("1-7")
	for n := 7; n > 0; n-- {
		id := b.frame(batch, n)
		if n%2 == 0 {
			b.finish(id, b.running(id), ledger.Ending{Outcome: jobs.OutcomeFailed, State: jobs.Failed})
		}
	}
	b.running(jobs.FrameID(batch, 5))
	b.ofBatch(batch, jobs.BundleID(batch), batches.Bundle)
	numbers := func(query string) (list []int, got api.Frames) {
		t.Helper()
		r := b.get("/api/v1/jobs/" + batch + "/frames" + query)
		if got = decodeAs[api.Frames](t, r); r.StatusCode != 200 || got.Frames == nil {
			t.Fatalf("%s: %d %+v", query, r.StatusCode, got)
		}
		for _, f := range got.Frames {
			list = append(list, f.Number)
			if f.ID != jobs.FrameID(batch, f.Number) || f.URL != "http://127.0.0.1:8420/"+f.ID || f.Attempt == 0 != f.Started.IsZero() || f.Finished.IsZero() == (f.State == jobs.Failed) {
				t.Errorf("%+v", f)
			}
			if want := f.Finished.Sub(f.Started).Seconds(); f.State == jobs.Failed && f.Seconds != want || f.State == jobs.Running && f.Seconds <= 0 {
				t.Errorf("%+v, want %v s", f, want)
			}
		}
		return list, got
	}
	for query, want := range map[string][]int{
		"": {1, 2, 3, 4, 5, 6, 7}, "?state=failed": {2, 4, 6}, "?state=running": {5}, "?state=waiting": nil, "?first=3&last=5": {3, 4, 5}, "?first=5&last=4": nil,
		"?limit=7&sort=number": {1, 2, 3, 4, 5, 6, 7}, "?state=failed&first=3&limit=2": {4, 6},
	} {
		if got, page := numbers(query); !slices.Equal(got, want) || page.Next != nil {
			t.Errorf("%s: %v, next %v, want %v", query, got, page.Next, want)
		}
	}
	if got, page := numbers("?limit=2&first=2"); !slices.Equal(got, []int{2, 3}) || page.Next == nil || *page.Next != 4 {
		t.Errorf("a page: %v, next %v", got, page.Next)
	}
	got, page := numbers("?sort=time&limit=2")
	if len(got) != 2 || page.Frames[0].Seconds < page.Frames[1].Seconds || page.Next != nil {
		t.Errorf("the slowest: %+v", page)
	}
	for target, want := range map[string]int{
		batch + "/frames?state=done": 400, batch + "/frames?first=-1": 400, batch + "/frames?last=x": 400, batch + "/frames?limit=1001": 400, batch + "/frames?limit=0": 400, batch + "/frames?sort=age": 400,
		batch + "/frames?x=1": 400, batch + "/frames?first=1&first=2": 400, batch + "/frames?sort=time&state=failed": 400, b.queued("") + "/frames": 404, jobs.NewID() + "/frames": 404, "x/frames": 404,
	} {
		if r := b.get("/api/v1/jobs/" + target); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, r.StatusCode, want)
		}
	}
}
