package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		raw := ` {"a": 1e400,  "b":"<"} `
		c := clientOf(t, answer(jobs.Succeeded, `,"new_member":1,"result":`+raw))
		got, err := c.Result(t.Context(), resultURL)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != jobs.Succeeded || string(got.Result) != strings.TrimSpace(raw) {
			t.Errorf("got %s with result %s", got.State, got.Result)
		}
	})
}

// TestResultSignsFiles checks each way to read the result of a signed URL.
func TestResultSignsFiles(t *testing.T) {
	file := strings.TrimSuffix(resultURL, "/") + "/files/a.png"
	doc := `,"result":1,"artifacts":[{"name":"a.png","url":"` + file + `"}]`
	for how, events := range map[string]http.HandlerFunc{"stream": stream(event(jobs.Succeeded, doc)), "poll": refuse(405)} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientOf(t, node(events, answer(jobs.Succeeded, doc)))
				for res, err := range c.Follow(t.Context(), resultURL+"?expires=1&signature=S") {
					if err != nil {
						t.Fatal(err)
					}
					if u := res.Artifacts[0].URL; u != file+"?expires=1&signature=S" {
						t.Errorf("the file is at %s", u)
					}
				}
			})
		})
	}
}

func TestResultPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, answer(jobs.Running, `,"progress":0.5`))
		got, err := c.Result(t.Context(), resultURL)
		if err != nil || got.State != jobs.Running || *got.Progress != 0.5 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestResultErrors(t *testing.T) {
	vast := strings.Repeat(" ", 2000)
	for name, tt := range map[string]struct {
		url     string
		handler http.HandlerFunc
		status  int   // of the problem
		err     error // or the sentinel
		message string
	}{
		"unknown":        {handler: refuse(404), status: 404, message: "404 No: for a test"},
		"broken":         {handler: text(500, "text/html", "<h1>"), status: 500, message: "500 Internal Server Error"},
		"half a problem": {handler: text(503, "application/problem+json", `{"title":"x`), status: 503, message: "503 Service Unavailable"},
		"vast problem":   {handler: text(503, "application/problem+json", strings.Repeat(" ", 2<<20)+`{"title":"x"}`), status: 503},
		"a page":         {handler: text(200, "text/html", "<h1>hello</h1>"), err: jobs.ErrNotResult},
		"other JSON":     {handler: text(200, "application/json", `{"a":1}`), err: jobs.ErrNotResult},
		"two ids":        {handler: text(200, "application/json", state(jobs.Queued, `,"id":"x"`)), err: jobs.ErrNotResult},
		"too large":      {handler: answer(jobs.Succeeded, vast), err: jobs.ErrResultTooLarge},
		"too large, zip": {handler: zipped(state(jobs.Succeeded, strings.Repeat(vast, 50))), err: jobs.ErrResultTooLarge},
		"redirect loop":  {handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, message: "stopped after 10 redirects"},
		"no URL":         {url: "node.example/x", message: "not an absolute http or https URL"},
		"a file":         {url: "file:///etc/passwd", message: "not an absolute http or https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientWith(t, jobs.Config{MaxResult: 1000}, tt.handler)
				url := resultURL
				if tt.url != "" {
					url = tt.url
				}
				_, err := c.Result(t.Context(), url)
				if err == nil || !strings.Contains(err.Error(), tt.message) {
					t.Errorf("error %v, want %q in it", err, tt.message)
				}
				if tt.err != nil && !errors.Is(err, tt.err) {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				if p, _ := errors.AsType[*jobs.Problem](err); tt.status != 0 && (p == nil || p.Status != tt.status) {
					t.Errorf("error %v, want status %d", err, tt.status)
				}
			})
		})
	}
}

func TestResultFollowsRedirects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/moved" {
				http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
				return
			}
			answer(jobs.Succeeded, "")(w, r)
		})
		if res, err := c.Result(t.Context(), resultURL); err != nil || res.State != jobs.Succeeded {
			t.Errorf("got %v, %v", res.State, err)
		}
	})
}

// TestWait checks the duration of each wait, in seconds of the virtual clock.
func TestWait(t *testing.T) {
	hour := func(h http.HandlerFunc) http.HandlerFunc { // an outage of an hour
		begin := time.Time{}
		return func(w http.ResponseWriter, r *http.Request) {
			if begin.IsZero() {
				begin = time.Now()
			}
			if time.Since(begin) < time.Hour {
				h(w, r)
				return
			}
			answer(jobs.Succeeded, "")(w, r)
		}
	}
	for name, tt := range map[string]struct {
		handler     http.HandlerFunc
		least, most time.Duration
		state       jobs.State
	}{
		"at once":          {answer(jobs.Succeeded, ""), 0, 0, jobs.Succeeded},
		"failed":           {answer(jobs.Failed, ""), 0, 0, jobs.Failed},
		"cancelled":        {answer(jobs.Cancelled, ""), 0, 0, jobs.Cancelled},
		"soon":             {script(answer(jobs.Queued, ""), answer(jobs.Running, ""), answer(jobs.Succeeded, "")), 2 * time.Second, 2 * time.Second, jobs.Succeeded},
		"retry after":      {script(after("7", answer(jobs.Queued, "")), answer(jobs.Succeeded, "")), 7 * time.Second, 7 * time.Second, jobs.Succeeded},
		"a date":           {script(afterDate(5*time.Second), answer(jobs.Succeeded, "")), 5 * time.Second, 5 * time.Second, jobs.Succeeded},
		"a year":           {script(after("31536000", answer(jobs.Queued, "")), answer(jobs.Succeeded, "")), time.Minute, time.Minute, jobs.Succeeded},
		"nonsense":         {script(after("soon", answer(jobs.Queued, "")), answer(jobs.Succeeded, "")), time.Second, time.Second, jobs.Succeeded},
		"held":             {script(held(answer(jobs.Queued, "")), answer(jobs.Succeeded, "")), 30100 * time.Millisecond, 30100 * time.Millisecond, jobs.Succeeded},
		"not known yet":    {script(refuse(404), refuse(404), refuse(404), answer(jobs.Succeeded, "")), 0, 3 * time.Second, jobs.Succeeded},
		"lost for a while": {lostForAWhile(), time.Hour, time.Hour + 30*time.Second, jobs.Succeeded},
		"down":             {hour(refuse(503)), time.Hour, time.Hour + 20*time.Second, jobs.Succeeded},
		"too many":         {script(after("40", refuse(429)), answer(jobs.Succeeded, "")), 40 * time.Second, 41 * time.Second, jobs.Succeeded},
		"cut":              {hour(cut), time.Hour, time.Hour + 20*time.Second, jobs.Succeeded},
		"maintenance":      {script(page(), page(), otherJSON(), answer(jobs.Succeeded, "")), 0, 3 * time.Second, jobs.Succeeded},
		"pages, long":      {hour(script(page(), refuse(503))), time.Hour, time.Hour + 20*time.Second, jobs.Succeeded},
		"lost and down":    {hour(script(refuse(404), refuse(503))), time.Hour, time.Hour + 20*time.Second, jobs.Succeeded},
		"outage, unknown":  {outageThenUnknown(), time.Hour + 20*time.Second, time.Hour + 22*time.Second, jobs.Succeeded},
		"silent":           {script(silent, answer(jobs.Succeeded, "")), time.Minute, time.Minute + time.Second, jobs.Succeeded},
		"silent halfway":   {script(halfway, answer(jobs.Succeeded, "")), time.Minute, time.Minute + time.Second, jobs.Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientOf(t, tt.handler)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				begin := time.Now()
				res, err := c.Wait(ctx, resultURL)
				if err != nil || res.State != tt.state {
					t.Errorf("got %q, %v, want %q", res.State, err, tt.state)
				}
				if d := time.Since(begin); d < tt.least || d > tt.most {
					t.Errorf("took %v, want %v to %v", d, tt.least, tt.most)
				}
			})
		})
	}
}

func TestWaitGivesUp(t *testing.T) {
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    func(error) bool
		after   time.Duration
	}{
		"unknown for good":    {refuse(404), problemOf(404), 30 * time.Second},
		"known once":          {script(answer(jobs.Queued, ""), refuse(404)), problemOf(404), 30 * time.Second},
		"unknown, slow down":  {after("60", refuse(404)), problemOf(404), 30 * time.Second},
		"forbidden":           {refuse(403), problemOf(403), 0},
		"gone":                {refuse(410), problemOf(410), 0},
		"a page":              {page(), is(jobs.ErrNotResult), 30 * time.Second},
		"a page, slow down":   {after("60", page()), is(jobs.ErrNotResult), 30 * time.Second},
		"other JSON":          {otherJSON(), is(jobs.ErrNotResult), 30 * time.Second},
		"no content":          {text(204, "text/html", ""), is(jobs.ErrNotResult), 30 * time.Second},
		"known, then a page":  {script(answer(jobs.Queued, ""), page()), is(jobs.ErrNotResult), 31 * time.Second},
		"deadline":            {answer(jobs.Running, ""), is(context.DeadlineExceeded), time.Hour},
		"deadline and outage": {refuse(500), both(is(context.DeadlineExceeded), problemOf(500)), time.Hour},
		"deadline, silent":    {silent, is(context.DeadlineExceeded), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientOf(t, tt.handler)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				begin := time.Now()
				_, err := c.Wait(ctx, resultURL)
				if !tt.want(err) {
					t.Errorf("error %v", err)
				}
				if d := time.Since(begin); d < tt.after || d > tt.after+2*time.Second {
					t.Errorf("took %v, want about %v", d, tt.after)
				}
			})
		})
	}
}

// TestGrace checks that Config.Grace bounds both what is not found and what is no result.
func TestGrace(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{"unknown": refuse(404), "a page": page(), "both": script(refuse(404), page())} {
		for _, grace := range []time.Duration{2 * time.Second, 10 * time.Minute} {
			t.Run(name+", "+grace.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := clientWith(t, jobs.Config{Grace: grace}, after("60", handler))
					begin := time.Now()
					_, err := c.Wait(t.Context(), resultURL)
					if d := time.Since(begin); err == nil || d < grace || d > grace+time.Second {
						t.Errorf("Wait: %v after %v, want an error after %v", err, d, grace)
					}
					begin = time.Now()
					got := follow(t.Context(), c)
					if d := time.Since(begin); got.err == nil || d < grace || d > grace+time.Second {
						t.Errorf("Follow: %v after %v, want an error after %v", got.err, d, grace)
					}
				})
			})
		}
	}
}

func TestWaitAsksToBeHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var prefer, accept, cache string
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			prefer, accept, cache = r.Header.Get("Prefer"), r.Header.Get("Accept"), r.Header.Get("Cache-Control")
			answer(jobs.Succeeded, "")(w, r)
		})
		if _, err := c.Wait(t.Context(), resultURL); err != nil {
			t.Fatal(err)
		}
		if prefer != "wait=30" || accept != "application/json" || cache != "no-cache" {
			t.Errorf("Prefer %q, Accept %q, Cache-Control %q", prefer, accept, cache)
		}
	})
}

func TestWaitLogsAnOutageOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		down := make([]http.HandlerFunc, 20)
		for i := range down {
			down[i] = refuse(502)
		}
		c := clientWith(t, jobs.Config{Logger: log.logger()}, script(append(down, answer(jobs.Succeeded, ""))...))
		if _, err := c.Wait(t.Context(), resultURL); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(log.String(), "result cannot be read"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log)
		}
	})
}

// lostForAWhile is a job that is not known yet, then known for an hour, then
// unknown for less than the time of grace.
func lostForAWhile() http.HandlerFunc {
	begin := sync.OnceValue(time.Now)
	return func(w http.ResponseWriter, r *http.Request) {
		switch age := time.Since(begin()); {
		case age == 0:
			refuse(404)(w, r)
		case age < time.Hour:
			after("60", answer(jobs.Queued, ""))(w, r)
		case age < time.Hour+20*time.Second:
			refuse(404)(w, r)
		default:
			answer(jobs.Succeeded, "")(w, r)
		}
	}
}

// outageThenUnknown is a job that is not known at first, behind an outage of an hour,
// and then not known for less than the time of grace.
func outageThenUnknown() http.HandlerFunc {
	begin := sync.OnceValue(time.Now)
	return func(w http.ResponseWriter, r *http.Request) {
		switch age := time.Since(begin()); {
		case age == 0:
			refuse(404)(w, r)
		case age < time.Hour:
			refuse(503)(w, r)
		case age < time.Hour+20*time.Second:
			refuse(404)(w, r)
		default:
			answer(jobs.Succeeded, "")(w, r)
		}
	}
}

// page is what a proxy shows during maintenance.
func page() http.HandlerFunc { return text(200, "text/html", "<h1>Back soon</h1>") }

func otherJSON() http.HandlerFunc { return text(200, "application/json", `{"status":"maintenance"}`) }

func after(v string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", v)
		h(w, r)
	}
}

func afterDate(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		after(time.Now().Add(d).UTC().Format(http.TimeFormat), answer(jobs.Queued, ""))(w, r)
	}
}

// held delays the answer for as long as the client allows.
func held(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Prefer") == "wait=30" {
			time.Sleep(30 * time.Second)
		}
		after("2", h)(w, r)
	}
}

// silent sends nothing until the client disconnects.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// halfway sends half of the answer and then nothing.
func halfway(w http.ResponseWriter, r *http.Request) {
	_, _ = fmt.Fprint(w, `{"id":`)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

// cut ends the connection in the middle of the answer.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = fmt.Fprint(w, `{"id":`)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func problemOf(status int) func(error) bool {
	return func(err error) bool {
		p, ok := errors.AsType[*jobs.Problem](err)
		return ok && p.Status == status
	}
}

func both(a, b func(error) bool) func(error) bool {
	return func(err error) bool { return a(err) && b(err) }
}
