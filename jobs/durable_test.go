package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// afterBody lets h answer when the whole request has come; before that a server does not
// notice that its client leaves.
func afterBody(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h(w, r)
	}
}

// accepted answers 201 to a job.
func accepted(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // cut off
		}
		job, err := jobdoc.Decode(body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/v1/jobs" {
			t.Errorf("%s %s with %q: %v", r.Method, r.URL, body, err)
		}
		text(201, "application/json", strings.ReplaceAll(state(jobs.Queued, ""), anID, job.ID))(w, r)
	}
}

func TestDurableEnqueue(t *testing.T) {
	isFault := func(pointer string) func(error) bool {
		return func(err error) bool {
			f, ok := errors.AsType[*jobs.Fault](err)
			return ok && f.Pointer == pointer && f.Message == "no such program" && f.ID == anID
		}
	}
	badProgram := func(status int) http.HandlerFunc {
		return text(status, "application/problem+json", `{"title":"Not a valid job","detail":"no such program","pointer":"/program"}`)
	}
	busy := problem(503, "the queue is drained")
	notFound := func(err error) bool { return !errors.Is(err, jobs.ErrMaybePut) }
	for name, tt := range map[string]struct {
		handler func(*testing.T) http.HandlerFunc
		put     error // nil: it was put
		want    func(error) bool
		most    time.Duration
	}{
		"accepted":            {accepted, nil, nil, 0},
		"after a lost answer": {func(t *testing.T) http.HandlerFunc { return script(cut, silent, refuse(500), accepted(t)) }, nil, nil, 10 * time.Second},
		"after an outage": {func(t *testing.T) http.HandlerFunc {
			return script(refuse(502), after("3", busy), refuse(429), accepted(t))
		}, nil, nil, 5 * time.Second},
		"bad program":   {func(*testing.T) http.HandlerFunc { return badProgram(422) }, jobs.ErrNotPut, isFault("/program"), 0},
		"bad JSON":      {func(*testing.T) http.HandlerFunc { return badProgram(400) }, jobs.ErrNotPut, isFault("/program"), 0},
		"a proxy's 400": {func(*testing.T) http.HandlerFunc { return text(400, "text/html", "<h1>") }, jobs.ErrNotPut, problemOf(400), 0},
		"conflict":      {func(*testing.T) http.HandlerFunc { return problem(409, "other input") }, jobs.ErrNotPut, is(jobs.ErrConflict), 0},
		"too large":     {func(*testing.T) http.HandlerFunc { return problem(413, "x") }, jobs.ErrNotPut, is(jobs.ErrTooBig), 0},
		"no token":      {func(*testing.T) http.HandlerFunc { return problem(401, "x") }, jobs.ErrNotPut, problemOf(401), 0},
		"wrong role":    {func(*testing.T) http.HandlerFunc { return problem(403, "x") }, jobs.ErrNotPut, problemOf(403), 0},
		"no API":        {func(*testing.T) http.HandlerFunc { return refuse(404) }, jobs.ErrNotPut, both(problemOf(404), notFound), 0},
		"drained":       {func(*testing.T) http.HandlerFunc { return after("30", busy) }, jobs.ErrNotPut, is(jobs.ErrOverloaded), 0},
		"overloaded":    {func(*testing.T) http.HandlerFunc { return problem(429, "x") }, jobs.ErrNotPut, is(jobs.ErrOverloaded), 20 * time.Second},
		"a proxy's 503": {func(*testing.T) http.HandlerFunc { return text(503, "text/html", "<h1>") }, jobs.ErrMaybePut, is(jobs.ErrOverloaded), 20 * time.Second},
		"lost, drained": {func(*testing.T) http.HandlerFunc { return script(cut, after("30", busy)) }, jobs.ErrMaybePut, is(jobs.ErrOverloaded), time.Second},
		"lost, no token": {
			func(*testing.T) http.HandlerFunc { return script(cut, problem(401, "x")) }, jobs.ErrMaybePut, problemOf(401), time.Second,
		},
		"lost, fault": {func(*testing.T) http.HandlerFunc { return script(cut, badProgram(422)) }, jobs.ErrNotPut, isFault("/program"), time.Second},
		"lost, conflict": {
			func(*testing.T) http.HandlerFunc { return script(cut, problem(409, "other input")) }, jobs.ErrNotPut, is(jobs.ErrConflict), time.Second,
		},
		"silent":  {func(*testing.T) http.HandlerFunc { return silent }, jobs.ErrMaybePut, is(context.DeadlineExceeded), 20 * time.Second},
		"gateway": {func(*testing.T) http.HandlerFunc { return refuse(504) }, jobs.ErrMaybePut, problemOf(504), 20 * time.Second},
		"a page":  {func(*testing.T) http.HandlerFunc { return text(200, "text/html", "<h1>") }, jobs.ErrMaybePut, is(jobs.ErrNotResult), 0},
		"another job": {
			func(*testing.T) http.HandlerFunc {
				return text(201, "application/json", strings.ReplaceAll(state(jobs.Queued, ""), anID, jobs.NewID()))
			}, jobs.ErrMaybePut, is(jobs.ErrNotResult), 0,
		},
		"a redirect": {func(*testing.T) http.HandlerFunc {
			return http.RedirectHandler("http://evil.example/", http.StatusTemporaryRedirect).ServeHTTP
		}, jobs.ErrNotPut, problemOf(307), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clientWith(t, jobs.Config{Durable: true, Token: secret}, afterBody(tt.handler(t)))
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				begin := time.Now()
				job, err := c.Enqueue(ctx, jobs.Job{ID: anID, Program: "forecast", Input: jobs.Data(1)})
				if job.Result.URL != "http://127.0.0.1:8420/"+anID {
					t.Errorf("returned %+v", job)
				}
				for _, sentinel := range []error{jobs.ErrNotPut, jobs.ErrMaybePut} {
					if errors.Is(err, sentinel) != (sentinel == tt.put) {
						t.Errorf("error %v, want one that is %v", err, tt.put)
					}
				}
				if (err == nil) != (tt.put == nil) || tt.want != nil && !tt.want(err) {
					t.Errorf("error %v", err)
				}
				if d := time.Since(begin); d > tt.most {
					t.Errorf("took %v, want at most %v", d, tt.most)
				}
			})
		})
	}
}

// TestDurableNotSent checks that a node that cannot be reached has not got the job.
func TestDurableNotSent(t *testing.T) {
	t.Parallel()
	c := newClient(t, jobs.Config{Durable: true, BaseURL: "http://127.0.0.1:1"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := c.Enqueue(ctx, jobs.Job{Program: "forecast", Input: jobs.Data(1)})
	if !errors.Is(err, jobs.ErrNotPut) || errors.Is(err, jobs.ErrMaybePut) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("error %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Enqueue(ended, jobs.Job{Program: "forecast", Input: jobs.Data(1)}); !errors.Is(err, jobs.ErrNotPut) || !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
}

// TestDurableEndsOnFaultsThatLast checks that a fault of the settings is told at the first
// try, with advice.
func TestDurableEndsOnFaultsThatLast(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	for base, advice := range map[string]string{
		strings.Replace(plain.URL, "http:", "https:", 1): "begin the URL with http://",
		stranger.URL: "trusts the server's CA",
	} {
		var log logBuffer
		c := newClient(t, jobs.Config{Durable: true, BaseURL: base, Logger: log.logger(), Timeout: time.Minute})
		_, err := c.Enqueue(t.Context(), jobs.Job{Program: "forecast", Input: jobs.Data(1)})
		if !errors.Is(err, jobs.ErrNotPut) || !strings.Contains(err.Error(), advice) {
			t.Errorf("error %v, want one that says %q", err, advice)
		}
		if log.String() != "" {
			t.Errorf("was tried again: %s", &log)
		}
		if err := c.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), advice) {
			t.Errorf("ping: %v", err)
		}
	}
}

// TestDurableTakesLargeDocuments checks that the limit of beanstalkd does not hold.
func TestDurableTakesLargeDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientWith(t, jobs.Config{Durable: true}, accepted(t))
		for size, ok := range map[int]bool{jobs.MaxDocument - 1000: true, jobs.MaxDocument: false} {
			_, err := c.Enqueue(t.Context(), jobs.Job{Program: "forecast", Input: jobs.Data(strings.Repeat("x", size))})
			if (err == nil) != ok {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	})
}

func TestPing(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	away := "127.0.0.1:1"
	if err := newClient(t, jobs.Config{Beanstalkd: []string{away, s.Addr}}).Ping(t.Context()); err != nil {
		t.Errorf("one of two answers: %v", err)
	}
	s.Kill()
	err := newClient(t, jobs.Config{Beanstalkd: []string{away, s.Addr}}).Ping(t.Context())
	if err == nil || !strings.Contains(err.Error(), away) || !strings.Contains(err.Error(), s.Addr) {
		t.Errorf("none answers: %v", err)
	}
}

func TestDurablePing(t *testing.T) {
	invalid := text(422, "application/problem+json", `{"title":"Not a valid job","detail":"id is missing"}`)
	for name, tt := range map[string]struct {
		ready, post http.HandlerFunc
		message     string // empty: no error
	}{
		"ready":        {text(200, "text/plain", "ok"), invalid, ""},
		"not ready":    {problem(503, "the disk is full"), nil, "http://127.0.0.1:8420: 503 No: the disk is full"},
		"wrong token":  {text(200, "text/plain", "ok"), problem(401, "not one of this node"), "role submit or operator"},
		"wrong role":   {text(200, "text/plain", "ok"), problem(403, "has the role viewer"), "role submit or operator"},
		"another site": {text(200, "text/html", "<h1>"), text(200, "text/html", "<h1>"), "not a result document"},
		"no API":       {text(200, "text/html", "<h1>"), text(404, "text/html", "<h1>"), "404"},
		"hangs":        {silent, nil, "no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := make(chan string, 10)
				c := clientWith(t, jobs.Config{Durable: true, Token: secret}, func(w http.ResponseWriter, r *http.Request) {
					asked <- r.Method + " " + r.URL.Path
					if r.URL.Path == "/readyz" {
						tt.ready(w, r)
						return
					}
					tt.post(w, r)
				})
				err := c.Ping(t.Context())
				if (err == nil) != (tt.message == "") || err != nil && !strings.Contains(err.Error(), tt.message) {
					t.Errorf("error %v, want %q", err, tt.message)
				}
				want := []string{"GET /readyz", "POST /api/v1/jobs"}
				if tt.post == nil {
					want = want[:1]
				}
				for _, request := range want {
					if got := <-asked; got != request {
						t.Errorf("asked %s, want %s", got, request)
					}
				}
				if len(asked) > 0 {
					t.Errorf("asked %s, too", <-asked)
				}
			})
		})
	}
}

// takesNoArrays is a node of a version that takes one document in a request.
func takesNoArrays(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if bytes.HasPrefix(body, []byte("[")) {
			problem(422, "the document must be an object")(w, r)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next(w, r)
	}
}

// acceptsArrays answers to an array, by the program of each job.
func acceptsArrays(t *testing.T, sizes *[]int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		documents, fault := jobdoc.Split(body, 1000)
		if err != nil || fault != nil || len(body) > jobs.MaxDocument {
			t.Errorf("%d bytes: %v, %v", len(body), err, fault)
		}
		*sizes = append(*sizes, len(documents))
		var list []string
		for _, document := range documents {
			job, err := jobdoc.Decode(document)
			if err != nil {
				t.Error(err)
			}
			switch job.Program {
			case "odd":
				list = append(list, `{"status":422,"id":"`+job.ID+`","error":{"title":"No","status":422,"detail":"no such program","pointer":"/program"}}`)
			case "conflict":
				list = append(list, `{"status":409,"id":"`+job.ID+`","error":{"title":"No","status":409,"detail":"other input"}}`)
			case "defect":
				list = append(list, `{"status":500,"error":{"title":"No","status":500}}`)
			case "another":
				list = append(list, `{"status":201,"id":"`+jobs.NewID()+`"}`)
			default:
				list = append(list, `{"status":201,"id":"`+job.ID+`","state":"queued"}`)
			}
		}
		text(200, "application/json", `{"refused":0,"jobs":[`+strings.Join(list, ",")+`]}`)(w, r)
	}
}

// TestDurableEnqueueBatchInOneRequest checks that each job has the outcome that the answer to
// the array has for it, and how a batch is split.
func TestDurableEnqueueBatchInOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		c := clientWith(t, jobs.Config{Durable: true}, script(cut, problem(503, "drained"), acceptsArrays(t, &sizes)))
		var batch []jobs.Job
		for _, program := range []string{"fine", "odd", "conflict", "defect", "another", "fine"} {
			batch = append(batch, jobs.Job{Program: program, Input: jobs.Data(1)})
		}
		got, err := c.EnqueueBatch(t.Context(), batch)
		for i, want := range []error{nil, jobs.ErrInvalid, jobs.ErrConflict, jobs.ErrMaybePut, jobs.ErrMaybePut, nil} {
			if e := got[i]; (e.Err == nil) != (want == nil) || !errors.Is(e.Err, want) {
				t.Errorf("job %d: %v, want %v", i, e.Err, want)
			}
		}
		if fault, ok := errors.AsType[*jobs.Fault](err); !ok || fault.Pointer != "/program" || fault.ID != got[1].Job.ID || len(sizes) != 1 {
			t.Errorf("%v, arrays of %v", err, sizes)
		}
	})
}

func TestDurableEnqueueBatchIsSplit(t *testing.T) {
	for name, tt := range map[string]struct {
		jobs, size int
		want       []int
	}{
		"many":  {1001, 1, []int{1000}},
		"large": {5, 400 << 10, []int{2, 2}},
		"few":   {2, 1, []int{2}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var sizes []int
			one := make(chan bool, 1) // requests take turns, so that sizes are in order
			single, arrays := accepted(t), acceptsArrays(t, &sizes)
			c := clientWith(t, jobs.Config{Durable: true}, afterBody(func(w http.ResponseWriter, r *http.Request) {
				one <- true
				defer func() { <-one }()
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if body[0] == '[' {
					arrays(w, r)
				} else {
					single(w, r)
				}
			}))
			batch := make([]jobs.Job, tt.jobs)
			for i := range batch {
				batch[i] = jobs.Job{Program: "fine", Input: jobs.Data(strings.Repeat("x", tt.size))}
			}
			if _, err := c.EnqueueBatch(t.Context(), batch); err != nil || !slices.Equal(sizes, tt.want) {
				t.Errorf("%s: arrays of %v, want %v: %v", name, sizes, tt.want, err)
			}
		})
	}
}

// TestDurableEnqueueBatchWithAnOddAnswer checks that nothing is taken for put that is not.
func TestDurableEnqueueBatchWithAnOddAnswer(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a page": text(200, "text/html", "<h1>"), "too few": text(200, "application/json", `{"jobs":[]}`), "nothing": text(200, "application/json", "{}"),
	} {
		synctest.Test(t, func(t *testing.T) {
			c := clientWith(t, jobs.Config{Durable: true}, afterBody(answer))
			job := jobs.Job{Program: "forecast", Input: jobs.Data(1)}
			got, _ := c.EnqueueBatch(t.Context(), []jobs.Job{job, job})
			for _, e := range got {
				if !errors.Is(e.Err, jobs.ErrMaybePut) || !errors.Is(e.Err, jobs.ErrNotResult) {
					t.Errorf("%s: %v", name, e.Err)
				}
			}
		})
	}
}

// TestDurableEnqueueBatch checks that each job has the outcome that the API gave it, where
// that takes no arrays.
func TestDurableEnqueueBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := accepted(t)
		c := clientWith(t, jobs.Config{Durable: true}, takesNoArrays(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			switch {
			case bytes.Contains(body, []byte(`"conflict"`)):
				problem(409, "other input")(w, r)
			case bytes.Contains(body, []byte(`"lost"`)):
				text(200, "text/html", "<h1>")(w, r)
			default:
				ok(w, r)
			}
		}))
		var batch []jobs.Job
		for _, data := range []string{"fine", "conflict", "lost", "fine"} {
			batch = append(batch, jobs.Job{Program: "forecast", Input: jobs.Data(data)})
		}
		got, err := c.EnqueueBatch(t.Context(), batch)
		for i, want := range []error{nil, jobs.ErrConflict, jobs.ErrMaybePut, nil} {
			if e := got[i]; (e.Err == nil) != (want == nil) || !errors.Is(e.Err, want) || !jobs.ValidID(e.Job.ID) {
				t.Errorf("job %d: %v, want %v", i, e.Err, want)
			}
		}
		if err == nil || !strings.HasPrefix(err.Error(), "jobs: batch of 4: 2 put, 1 not put, 1 may have been put") {
			t.Errorf("the batch: %v", err)
		}
	})
}
