package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
)

// node is a fake node with one job: the events of its stream and the answers of
// its result URL.
func node(events, result http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/results/" + anID:
			result(w, r)
		case "/results/" + anID + "/events":
			events(w, r)
		default:
			http.NotFound(w, r)
		}
	}
}

// stream sends parts of an event stream, one write each, and ends it. A part
// that is a duration is a pause.
func stream(parts ...any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				_, _ = fmt.Fprint(w, p)
			case time.Duration:
				pause(r.Context(), p)
			}
			w.(http.Flusher).Flush()
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// event is a state as the node sends it.
func event(s jobs.State, more string) string {
	return "event: state\ndata: " + state(s, more) + "\n\n"
}

// never must not be asked.
func never(t *testing.T) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { t.Error("asked what need not be asked") }
}

// followed is what a Follow yielded.
type followed struct {
	states []string // with the progress in percent, if it is known
	err    error
}

func follow(ctx context.Context, c *jobs.Client) (f followed) {
	for res, err := range c.Follow(ctx, resultURL) {
		if f.err != nil {
			f.states = append(f.states, "more after an error")
		}
		if err != nil {
			f.err = err
			continue
		}
		s := string(res.State)
		if res.Progress != nil {
			s += fmt.Sprintf(" %.0f", *res.Progress*100)
		}
		f.states = append(f.states, s)
	}
	return f
}

func TestFollow(t *testing.T) {
	queued, running, done := event(jobs.Queued, ""), event(jobs.Running, ""), event(jobs.Succeeded, `,"result":1`)
	longer := strings.Replace(done, `"result":1`, `"result":"`+strings.Repeat("x", 2<<20)+`"`, 1)
	comments := []any{queued}
	for range 240 { // an hour
		comments = append(comments, 15*time.Second, ": alive\n\n")
	}
	for name, tt := range map[string]struct {
		events, result http.HandlerFunc // result nil: must not be asked
		want           string
		most           time.Duration
	}{
		"all states": {
			events: stream(queued, running, event(jobs.Running, `,"progress":0.5`), done),
			want:   "queued, running, running 50, succeeded",
		},
		"final at once": {events: stream(done), want: "succeeded"},
		"failed":        {events: stream(event(jobs.Failed, `,"error":{"class":"error","message":"x"}`)), want: "failed"},
		"nothing new": {
			events: stream(queued, strings.Replace(queued, "06:16:00Z", "06:16:01Z", 1), queued, done),
			want:   "queued, succeeded",
		},
		"other events": {
			events: stream(":hi\n\n", "event: log\ndata: line\n\n", "data: no name\n\n", "retry: 100\n\n", queued, "event: state2\ndata: x\n\n", done),
			want:   "queued, succeeded",
		},
		"lines of data": {
			events: stream("id: 7\nevent: state\ndata: {\"id\":\"" + anID + "\",\ndata: \"state\":\"succeeded\",\"result\":1}\n\n"),
			want:   "succeeded",
		},
		"in small parts": {
			events: stream(queued[:3], queued[3:20], queued[20:]+running[:40], running[40:], done),
			want:   "queued, running, succeeded",
		},
		"back to queued": {events: stream(running, queued, running, done), want: "running, queued, running, succeeded"},
		"connection lost": {
			events: script(stream(queued), stream(queued, running), stream(running, done)),
			want:   "queued, running, succeeded", most: time.Second,
		},
		"event cut in two": {
			events: script(stream(queued, running[:60]), stream(done)),
			want:   "queued, succeeded", most: time.Second,
		},
		"signs of life":  {events: stream(append(comments, done)...), want: "queued, succeeded", most: time.Hour},
		"falls silent":   {events: script(stream(queued, time.Hour), stream(queued, done)), want: "queued, succeeded", most: 61 * time.Second},
		"node restarts":  {events: script(stream(queued), refuse(503), refuse(502), stream(done)), want: "queued, succeeded", most: 5 * time.Second},
		"not known yet":  {events: script(refuse(404), refuse(404), stream(done)), result: refuse(404), want: "succeeded", most: 3 * time.Second},
		"known just now": {events: script(refuse(404), stream(queued, done)), result: answer(jobs.Queued, ""), want: "queued, succeeded"},

		"no streams, 404":     {events: refuse(404), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"no streams, 405":     {events: refuse(405), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"no streams, 406":     {events: refuse(406), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"no streams, a page":  {events: text(200, "text/html", "<h1>"), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"no streams, 204":     {events: text(204, "text/event-stream", ""), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"no streams, 500":     {events: refuse(500), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"empty streams":       {events: stream(), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"held by a proxy":     {events: stream(time.Hour, done), result: polled(), want: "queued, running, succeeded", most: 15 * time.Second},
		"silent proxy":        {events: silent, result: polled(), want: "queued, running, succeeded", most: 15 * time.Second},
		"event too large":     {events: stream(queued, longer), result: answer(jobs.Succeeded, ""), want: "queued, succeeded", most: time.Second},
		"endless line":        {events: endless, result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"not JSON":            {events: stream("event: state\ndata: hello\n\n"), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"not a result":        {events: stream("event: state\ndata: {}\n\n"), result: polled(), want: "queued, running, succeeded", most: 5 * time.Second},
		"polled, unchanged":   {events: refuse(405), result: script(answer(jobs.Queued, ""), answer(jobs.Queued, ""), answer(jobs.Succeeded, "")), want: "queued, succeeded", most: 5 * time.Second},
		"polled, held":        {events: refuse(405), result: script(held(answer(jobs.Queued, "")), held(answer(jobs.Running, "")), answer(jobs.Succeeded, "")), want: "queued, running, succeeded", most: 40 * time.Second},
		"polled, node is off": {events: refuse(405), result: script(answer(jobs.Queued, ""), refuse(503), cut, refuse(404), answer(jobs.Succeeded, "")), want: "queued, succeeded", most: 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.result == nil {
					tt.result = never(t)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				begin := time.Now()
				got := follow(ctx, clientOf(t, node(tt.events, tt.result)))
				if got.err != nil {
					t.Errorf("error %v", got.err)
				}
				if diff := cmp.Diff(tt.want, strings.Join(got.states, ", ")); diff != "" {
					t.Error(diff)
				}
				if d := time.Since(begin); d > tt.most {
					t.Errorf("took %v, want at most %v", d, tt.most)
				}
			})
		})
	}
}

// polled is the way of a job as a result URL gives it.
func polled() http.HandlerFunc {
	return script(answer(jobs.Queued, ""), answer(jobs.Running, ""), answer(jobs.Succeeded, ""))
}

// endless sends one line without an end.
func endless(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		if _, err := w.Write([]byte("data: " + strings.Repeat("x", 65536))); err != nil {
			return
		}
	}
}

// TestFollowFetchesALargeResult checks a result that is too large for the node's event.
func TestFollowFetchesALargeResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, node(stream(event(jobs.Queued, ""), event(jobs.Succeeded, "")), answer(jobs.Succeeded, `,"result":[1]`)))
		var last jobs.Result
		for res, err := range c.Follow(t.Context(), resultURL) {
			if err != nil {
				t.Fatal(err)
			}
			last = res
		}
		if string(last.Result) != "[1]" {
			t.Errorf("the last state has the result %q, want [1]", last.Result)
		}
	})
}

func TestFollowGivesUp(t *testing.T) {
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		states  string
		want    func(error) bool
		least   time.Duration
	}{
		"unknown for good": {refuse(404), "", problemOf(404), 30 * time.Second},
		"forbidden":        {refuse(403), "", problemOf(403), 0},
		"a page":           {page(), "", is(jobs.ErrNotResult), 30 * time.Second},
		"too large": {
			node(refuse(405), answer(jobs.Succeeded, strings.Repeat(" ", 2000))), "",
			is(jobs.ErrResultTooLarge), 0,
		},
		"deadline in a stream": {
			node(stream(event(jobs.Running, ""), ":\n\n", 50*time.Second, ":\n\n", 50*time.Second), refuse(404)), "running",
			is(context.DeadlineExceeded), time.Minute,
		},
		"unknown, slow down":    {after("60", refuse(404)), "", problemOf(404), 30 * time.Second},
		"deadline in a poll":    {node(refuse(405), held(answer(jobs.Running, ""))), "running", is(context.DeadlineExceeded), time.Minute},
		"deadline in an outage": {refuse(503), "", both(is(context.DeadlineExceeded), problemOf(503)), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begin := time.Now()
				got := follow(ctx, clientWith(t, jobs.Config{MaxResult: 1000}, tt.handler))
				if !tt.want(got.err) {
					t.Errorf("error %v", got.err)
				}
				if s := strings.Join(got.states, ", "); s != tt.states {
					t.Errorf("states %q, want %q", s, tt.states)
				}
				if d := time.Since(begin); d < tt.least {
					t.Errorf("took %v, want at least %v", d, tt.least)
				}
			})
		})
	}
}

func TestFollowBadURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, never(t))
		n := 0
		for _, err := range c.Follow(t.Context(), "/relative") {
			if err == nil {
				t.Error("no error")
			}
			n++
		}
		if n != 1 {
			t.Errorf("yielded %d times", n)
		}
	})
}

// TestFollowBreak checks that a caller that leaves the loop leaves no open connection.
func TestFollowBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		c := clientOf(t, node(func(w http.ResponseWriter, r *http.Request) {
			stream(event(jobs.Queued, ""))(w, r)
			<-r.Context().Done()
			close(gone)
		}, never(t)))
		for range c.Follow(t.Context(), resultURL) {
			break
		}
		<-gone
	})
}

func TestFollowCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := clientOf(t, node(stream(event(jobs.Queued, ""), time.Hour), never(t)))
		var last error
		for _, err := range c.Follow(ctx, resultURL) {
			cancel()
			last = err
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("error %v", last)
		}
	})
}

// TestFollowAsks holds what a stream's request looks like.
func TestFollowAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var accept string
		c := clientOf(t, node(func(w http.ResponseWriter, r *http.Request) {
			accept = r.Header.Get("Accept")
			stream(event(jobs.Succeeded, `,"result":1`))(w, r)
		}, never(t)))
		follow(t.Context(), c)
		if accept != "text/event-stream" {
			t.Errorf("Accept %q", accept)
		}
	})
}
