package publisher

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// startable waits until the next run of a loop may start.
func (b *bench) startable(id string) {
	b.t.Helper()
	rec, err := b.ledger.Get(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	for rec.Wait(time.Now()) > 0 {
		timer := time.NewTimer(rec.Wait(time.Now()))
		select {
		case <-timer.C:
		case <-b.t.Context().Done():
			b.t.Fatal("too long")
		}
	}
}

// newestOf returns the newest job of a loop.
func (b *bench) newestOf(id string) string {
	b.t.Helper()
	loop, found, err := b.ledger.Loops.Find(context.Background(), id)
	if err != nil || !found {
		b.t.Fatal(found, err)
	}
	return loop.Newest
}

// TestLatest asks for the newest success of a loop at one URL, before its first success and after
// each.
func TestLatest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.queued(`"repeat":"1s"`)
	for _, folder := range []string{"/", "/results/"} {
		r := b.get(folder + first + "/latest")
		if got := decodeAs[jobs.Result](t, r); r.StatusCode != 202 || got.ID != first || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Content-Location") != "runs/1" {
			t.Errorf("before the first success: %d %v %+v", r.StatusCode, r.Header, got)
		}
	}
	b.withFiles(first, "plot.png")
	second := b.newestOf(first)
	var tag string
	for _, id := range []string{first, second} {
		for _, folder := range []string{"/", "/results/"} {
			own, r := b.get(folder+first), b.get(folder+id+"/latest")
			if body := bodyOf(t, r); r.StatusCode != 200 || body != bodyOf(t, own) || r.Header.Get("Cache-Control") != "no-cache" || r.Header.Get("Content-Location") != "runs/1" {
				t.Errorf("%d %v %s", r.StatusCode, r.Header, body)
			}
			if tag = r.Header.Get("ETag"); tag == "" || tag != own.Header.Get("ETag") {
				t.Errorf("tags %q and %q", tag, own.Header.Get("ETag"))
			}
			if own.Header.Get("Cache-Control") != httpio.Immutable {
				t.Errorf("the result itself: %v", own.Header)
			}
		}
	}
	for _, fields := range [][]string{{"If-None-Match: " + tag}, {"If-None-Match: " + tag, "Accept-Encoding: gzip"}} {
		if r := b.get("/"+first+"/latest", fields...); r.StatusCode != 304 || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("with its tag: %d %v", r.StatusCode, r.Header)
		}
	}
	if r := b.ask("HEAD", "/"+first+"/latest", ""); r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("HEAD: %d %v", r.StatusCode, r.Header)
	}
	if r := b.get("/"+first+"/latest", "Range: bytes=0-3"); r.StatusCode != 206 || r.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("a range: %d %v", r.StatusCode, r.Header)
	}
	page := bodyOf(t, b.get("/results/"+first+"/latest", asBrowser))
	if !strings.Contains(page, `/results/`+first+`/runs/1/files/plot.png`) || strings.Contains(page, "/latest/") {
		t.Errorf("links of the page:\n%s", page)
	}
	if got := bodyOf(t, b.get("/"+first+"/latest/events")); !strings.Contains(got, `"succeeded"`) {
		t.Errorf("events: %s", got)
	}
	b.startable(second)
	b.withFiles(second, "plot.png")
	r := b.get("/"+first+"/latest", "If-None-Match: "+tag)
	if got := decodeAs[jobs.Result](t, r); r.StatusCode != 200 || got.ID != second || r.Header.Get("Content-Location") != "runs/2" {
		t.Errorf("after the second success: %d %+v", r.StatusCode, got)
	}
	b.do(ledger.VerbDelete, first)
	if got := decodeAs[jobs.Result](t, b.get("/"+first+"/latest")); got.ID != second {
		t.Errorf("after the first was deleted: %+v", got)
	}
	b.do(ledger.VerbDelete, second)
	if r := b.get("/" + first + "/latest"); r.StatusCode != 410 || r.Header.Get("Cache-Control") == httpio.Immutable {
		t.Errorf("after the newest success was deleted: %d %v", r.StatusCode, r.Header)
	}
}

// TestRuns asks for the runs of a loop by their numbers, and for what is not there.
func TestRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, once := b.queued(`"repeat":"1s"`), b.failed()
	b.withFiles(first, "plot.png")
	second := b.newestOf(first)
	for _, below := range []string{"", "/log", "/files.tar", "/files/plot.png", "/files/none"} {
		own, got := b.get("/"+first+below), b.get("/results/"+second+"/runs/1"+below)
		if own.StatusCode != got.StatusCode || bodyOf(t, own) != bodyOf(t, got) || own.Header.Get("Cache-Control") != got.Header.Get("Cache-Control") {
			t.Errorf("%s: %d %v, want %d %v", below, got.StatusCode, got.Header, own.StatusCode, own.Header)
		}
	}
	if r := b.get("/" + first + "/runs/2"); r.StatusCode != 202 || decodeAs[jobs.Result](t, r).ID != second {
		t.Errorf("run 2: %d", r.StatusCode)
	}
	nobody := jobs.NewID()
	for path, want := range map[string]string{
		first + "/runs/3": "has 2 runs so far", first + "/runs/0": "no run 0", first + "/runs/01": "nothing at this path", first + "/runs/x": "nothing at this path",
		first + "/runs/2147483648": "nothing at this path", first + "/runs": "nothing at this path", first + "/latest/log": "nothing at this path",
		once + "/latest": "does not repeat", once + "/runs/1": "does not repeat", nobody + "/latest": "no job with this id", nobody + "/runs/1": "no job with this id", "x/latest": "nothing at this path",
	} {
		r := b.get("/results/" + path)
		if body := bodyOf(t, r); r.StatusCode != 404 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", path, r.StatusCode, body, want)
		}
	}
	b.do(ledger.VerbDelete, first)
	if r := b.get("/" + first + "/runs/1"); r.StatusCode != 410 {
		t.Errorf("a run that was deleted: %d", r.StatusCode)
	}
	for path, want := range map[string]string{"/latest/": "../../" + second + "/latest", "/runs/1/?x=1": "../../../" + second + "/runs/1?x=1"} {
		if r := b.get("/" + second + path); r.StatusCode != 308 || r.Header.Get("Location") != want {
			t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
		}
	}
}

// TestSignedLoops opens the results of a loop with the signature of one of them.
func TestSignedLoops(t *testing.T) {
	t.Parallel()
	b, vera := newSigned(t)
	first, other := b.queued(`"repeat":"1s"`), b.queued(`"repeat":"1s"`)
	b.withFiles(first, "plot.png")
	good := signedQuery(t, first, time.Hour)
	for _, below := range []string{"/latest", "/latest/events", "/runs/1", "/runs/1/log", "/runs/1/files/plot.png"} {
		for query, want := range map[string]int{"": 401, good: 200, signedQuery(t, first, -time.Second): 403, signedQuery(t, other, time.Hour): 403, signedQuery(t, b.newestOf(first), time.Hour): 403} {
			if r := b.askBriefly("GET", "/"+first+below+"?"+query); r.StatusCode != want {
				t.Errorf("%s?%s: %d, want %d", below, query, r.StatusCode, want)
			}
		}
		if r := b.askBriefly("GET", "/"+first+below, vera.bearer()); r.StatusCode != 200 {
			t.Errorf("%s, a viewer: %d", below, r.StatusCode)
		}
	}
	r := b.get("/" + first + "/latest?" + good)
	if r.Header.Get("Content-Location") != "runs/1?"+good || r.Header.Get("Cache-Control") != "private, no-cache" || r.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v", r.Header)
	}
	u, err := url.Parse(decodeAs[jobs.Result](t, r).Artifacts[0].URL)
	if err != nil || u.Path != "/"+first+"/runs/1/files/plot.png" {
		t.Fatal(err, u)
	}
	if r := b.get(u.RequestURI()); r.StatusCode != 200 || bodyOf(t, r) != "plot.png" {
		t.Errorf("the file: %d", r.StatusCode)
	}
}

// TestLoopDetails reads the place of a job in its loop, ends the loop, and runs a success again as a
// new job, which does not repeat.
func TestLoopDetails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.queued(`"repeat":"1h"`)
	b.withFiles(first)
	second := b.newestOf(first)
	d := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+first))
	if l := d.Loop; l == nil || l.ID != first || l.Run != 1 || l.Runs != 2 || l.Newest != second || l.Next != second || l.Latest != first || l.State != jobs.Queued ||
		l.NextAt.Before(time.Now().Add(50*time.Minute)) || !l.Ended.IsZero() || !strings.Contains(strings.Join(d.Allowed, " "), "end-loop") {
		t.Errorf("%+v, %v", d.Loop, d.Allowed)
	}
	page := plainWords(bodyOf(t, b.get("/jobs/"+second)))
	if !strings.Contains(page, "Repeats 1 h after each success: run 2; next start") || !strings.Contains(page, "Previous run") || !strings.Contains(page, "Stop the loop") || !strings.Contains(page, "End the loop for good") {
		t.Errorf("the page: %s", page)
	}
	again := b.ask("POST", "/api/v1/jobs/"+first+"/retry", `{"as_new":true}`, jsonBody)
	copied := decodeAs[jobs.Result](t, again)
	if d := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+copied.ID)); again.StatusCode != 201 || d.Loop != nil || d.Job.Repeat != 0 || d.Job.RerunOf != first {
		t.Errorf("as a new job: %d %+v", again.StatusCode, d)
	}
	r := b.ask("POST", "/api/v1/jobs/"+first+"/end-loop", "")
	if got := decodeAs[jobs.Result](t, r); r.StatusCode != 202 || got.ID != first {
		t.Errorf("end: %d %+v", r.StatusCode, got)
	}
	d = decodeAs[api.Details](t, b.get("/api/v1/jobs/"+second))
	if d.Loop == nil || d.Loop.Ended.IsZero() || d.Status.State != jobs.Cancelled || strings.Contains(strings.Join(d.Allowed, " "), "end-loop") {
		t.Errorf("%+v, %v", d.Loop, d.Allowed)
	}
	b.p.pages.Forget()
	if page := plainWords(bodyOf(t, b.get("/jobs/"+second))); !strings.Contains(page, "Ended for good") || strings.Contains(page, "End the loop for good") {
		t.Errorf("the page: %s", page)
	}
	if r := b.ask("POST", "/api/v1/jobs/"+copied.ID+"/end-loop", ""); r.StatusCode != 409 || !strings.Contains(bodyOf(t, r), "does not repeat") {
		t.Errorf("of a job that does not repeat: %d", r.StatusCode)
	}
	if r := b.ask("POST", "/api/v1/jobs/end-loop", `{"all":true}`, jsonBody); r.StatusCode != 404 && r.StatusCode != 405 {
		t.Errorf("of many: %d", r.StatusCode)
	}
}

// TestEndLoopButton ends a loop on the page of a job, after a confirmation.
func TestEndLoopButton(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.queued(`"repeat":"1h"`)
	b.withFiles(first)
	second := b.newestOf(first)
	r := b.ask("POST", "/jobs/"+first+"/act", "verb=end-loop", "Content-Type: application/x-www-form-urlencoded")
	if page := bodyOf(t, r); r.StatusCode != 200 || !strings.Contains(page, "End the loop of this job for good?") || !strings.Contains(page, "cannot be undone") {
		t.Errorf("confirmation: %d %s", r.StatusCode, page)
	}
	if rec, err := b.ledger.Get(t.Context(), second); err != nil || rec.State != jobs.Queued {
		t.Errorf("before the confirmation: %+v, %v", rec.State, err)
	}
	r = b.ask("POST", "/jobs/"+first+"/act", "verb=end-loop&confirm=yes", "Content-Type: application/x-www-form-urlencoded")
	if rec, err := b.ledger.Get(t.Context(), second); err != nil || rec.State != jobs.Cancelled || r.StatusCode != 303 {
		t.Errorf("%d %+v, %v", r.StatusCode, rec.State, err)
	}
}

// TestSubmitterEndsItsOwnLoops ends loops with tokens of the role submit. The next job belongs to
// the same submitter.
func TestSubmitterEndsItsOwnLoops(t *testing.T) {
	t.Parallel()
	b, shop, blog, _ := submitters(t)
	r := b.ask("POST", "/api/v1/jobs", strings.Replace(goodJob, "{", `{"repeat":"1h",`, 1), jsonBody, shop.bearer())
	id := decodeAs[jobs.Result](t, r).ID
	b.withFiles(id)
	next := b.newestOf(id)
	for _, test := range []struct {
		who  badge
		verb string
		want int
	}{{blog, "GET", 404}, {blog, "POST", 404}, {shop, "GET", 200}, {shop, "POST", 202}} {
		path := "/api/v1/jobs/" + next
		if test.verb == "POST" {
			path += "/end-loop"
		}
		if got := b.ask(test.verb, path, "", test.who.bearer()); got.StatusCode != test.want {
			t.Errorf("%s %s: %d, want %d: %s", test.verb, path, got.StatusCode, test.want, bodyOf(t, got))
		}
	}
}
