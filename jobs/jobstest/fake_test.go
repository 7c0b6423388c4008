package jobstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

// recorder is a test that records what a fake says against it.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper()                      {}
func (r *recorder) Errorf(f string, args ...any) { r.said += fmt.Sprintf(f, args...) + "\n" }
func (r *recorder) Fatalf(f string, args ...any) { r.Errorf(f, args...); panic(r) }
func (r *recorder) recover()                     { _ = recover() }

func forecast(days int) jobs.Job {
	return jobs.Job{Program: "forecast", Input: jobs.Input{Data: fmt.Appendf(nil, `{"days":%d}`, days)}}
}

func enqueue(t *testing.T, c *jobs.Client, job jobs.Job) jobs.Job {
	t.Helper()
	job, err := c.Enqueue(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func TestFakeRecordsWhatIsEnqueued(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	f.RequireNone(t)
	want := []jobs.Job{enqueue(t, f.Client, forecast(1)), enqueue(t, f.Client, forecast(2))}
	enqueue(t, f.Client, want[0]) // twice under one id
	batch, err := f.Client.EnqueueBatch(t.Context(), []jobs.Job{forecast(3), {Program: "report", Input: jobs.Input{Data: []byte("null")}}, forecast(4)})
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, batch[0].Job, batch[2].Job)
	if diff := cmp.Diff(want, f.RequireEnqueued(t, "forecast", 4)); diff != "" {
		t.Error(diff)
	}
	f.RequireEnqueued(t, "report", 1)
	f.RequireEnqueued(t, "nothing", 0)
}

func TestFakeSaysWhatWasEnqueued(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	r := &recorder{TB: t}
	func() { defer r.recover(); f.RequireEnqueued(r, "forecast", 1) }()
	job := enqueue(t, f.Client, forecast(7))
	func() { defer r.recover(); f.RequireEnqueued(r, "forecast", 2) }()
	func() { defer r.recover(); f.RequireEnqueued(r, "forecast", 0) }()
	func() { defer r.recover(); f.RequireNone(r) }()
	want := fmt.Sprintf(`jobstest: 0 jobs of forecast were enqueued, want 1. Nothing was enqueued.
jobstest: 1 jobs of forecast were enqueued, want 2. Enqueued were 1:
  forecast %[1]s {"days":7}
jobstest: 1 jobs of forecast were enqueued, want 0. Enqueued were 1:
  forecast %[1]s {"days":7}
jobstest: want no job. Enqueued were 1:
  forecast %[1]s {"days":7}
`, job.ID)
	if diff := cmp.Diff(want, r.said); diff != "" {
		t.Error(diff)
	}
}

func TestTestDecidesWhatBecomesOfAJob(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	one, other := enqueue(t, f.Client, forecast(1)), enqueue(t, f.Client, forecast(2))
	res, err := f.Client.Result(t.Context(), one.Result.URL)
	if err != nil || res.State != jobs.Queued {
		t.Errorf("first %s, %v", res.State, err)
	}
	f.Progress(one.ID, 0.4, "week 3")
	res, err = f.Client.Result(t.Context(), one.Result.URL)
	if err != nil || res.State != jobs.Running || *res.Progress != 0.4 || res.Message != "week 3" || res.Attempt != 1 {
		t.Errorf("then %+v, %v", res, err)
	}
	f.Succeed(one.ID, map[string]int{"values": 7})
	res, err = f.Client.Wait(t.Context(), one.Result.URL)
	if err != nil || res.State != jobs.Succeeded || string(res.Result) != `{"values":7}` || res.Attempt != 1 || res.Finished.IsZero() {
		t.Errorf("at the end %+v, %v", res, err)
	}
	f.Fail(other.ID, "the series is too short")
	res, err = f.Client.Wait(t.Context(), other.Result.URL)
	if err != nil || res.State != jobs.Failed || res.Error == nil || res.Error.Message != "the series is too short" {
		t.Errorf("the other %+v, %v", res, err)
	}
}

// TestFollowSeesEveryState follows a job that changes before and while it is followed, and
// one that is retried.
func TestFollowSeesEveryState(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	job := enqueue(t, f.Client, forecast(1))
	follow := func() (got []string) {
		for res, err := range f.Client.Follow(t.Context(), job.Result.URL) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(res.State)+" "+res.Message)
			if res.Message == "week 1" {
				f.Progress(job.ID, 0.5, "week 2")
				f.Fail(job.ID, "no data")
			}
		}
		return got
	}
	f.Progress(job.ID, 0.1, "week 1")
	if diff := cmp.Diff([]string{"queued ", "running week 1", "running week 2", "failed "}, follow()); diff != "" {
		t.Error(diff)
	}
	if _, err := f.Client.Retry(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	f.Succeed(job.ID, nil)
	if diff := cmp.Diff([]string{"queued ", "succeeded "}, follow()); diff != "" {
		t.Error(diff)
	}
}

// TestHandle waits for a job while it is run, through changes of its state.
func TestHandle(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	f.Handle("forecast", func(job jobs.Job) (any, error) {
		f.Progress(job.ID, 0.5, "half way")
		if string(job.Input.Data) == `{"days":0}` {
			return nil, errors.New("no days")
		}
		return job.Input.Data, nil
	})
	begun := time.Now()
	for days, want := range map[int]string{7: `succeeded {"days":7}`, 0: "failed "} {
		res, err := f.Client.Wait(t.Context(), enqueue(t, f.Client, forecast(days)).Result.URL)
		if got := string(res.State) + " " + string(res.Result); err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	t.Log("two jobs took", time.Since(begun))
}

func TestFakeIsForClientsOfTheCodeUnderTest(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	cfg := f.Config()
	cfg.Prefix = "shop"
	client, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	job := enqueue(t, client, forecast(1))
	if !strings.HasPrefix(job.Result.URL, f.URL+"/") {
		t.Errorf("result at %s, want it below %s", job.Result.URL, f.URL)
	}
	f.RequireEnqueued(t, "forecast", 1)
}

func TestFailNext(t *testing.T) {
	t.Parallel()
	for _, want := range []error{jobs.ErrNotPut, jobs.ErrDraining, jobs.ErrFull, jobs.ErrMaybePut, jobs.ErrOverloaded} {
		t.Run(want.Error(), func(t *testing.T) {
			t.Parallel()
			f := jobstest.NewFake(t)
			f.FailNext(2, want)
			maybe := errors.Is(want, jobs.ErrMaybePut)
			job, err := f.Client.Enqueue(t.Context(), forecast(1))
			if !errors.Is(err, want) || errors.Is(err, jobs.ErrNotPut) == maybe || job.ID == "" {
				t.Errorf("job %q, %v, want %v", job.ID, err, want)
			}
			put, err := f.Client.EnqueueBatch(t.Context(), []jobs.Job{forecast(2), forecast(3)})
			if !errors.Is(err, want) || len(put) != 2 || !errors.Is(put[1].Err, want) {
				t.Errorf("%+v, %v, want %v", put, err, want)
			}
			n := 0
			if maybe {
				n = 3
			}
			f.RequireEnqueued(t, "forecast", n)
			enqueue(t, f.Client, job)
			f.RequireEnqueued(t, "forecast", max(n, 1))
		})
	}
}

func TestSetDown(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	job := enqueue(t, f.Client, forecast(1))
	f.SetDown(true)
	if _, err := f.Client.Enqueue(t.Context(), forecast(2)); !errors.Is(err, jobs.ErrNotPut) && !errors.Is(err, jobs.ErrMaybePut) {
		t.Errorf("Enqueue returned %v, want ErrNotPut or ErrMaybePut", err)
	}
	if res, err := f.Client.Result(t.Context(), job.Result.URL); err == nil {
		t.Errorf("Result returned %s", res.State)
	}
	f.SetDown(false)
	f.Succeed(job.ID, 1)
	if _, err := f.Client.Wait(t.Context(), job.Result.URL); err != nil {
		t.Errorf("Wait returned %v after the fake was back", err)
	}
	enqueue(t, f.Client, forecast(3))
	f.RequireEnqueued(t, "forecast", 2)
}

func TestRequireSignedURLs(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	key := []byte("forty-two bytes that nobody else knows....")
	f.RequireSignedURLs(key)
	job := enqueue(t, f.Client, forecast(1))
	f.Succeed(job.ID, 1)
	statuses := map[string]int{}
	for name, sign := range map[string]func() (string, error){
		"not signed": func() (string, error) { return job.Result.URL, nil },
		"another key": func() (string, error) {
			return jobs.SignURL(job.Result.URL, []byte(strings.Repeat("x", 32)), time.Now().Add(time.Hour))
		},
		"expired": func() (string, error) { return jobs.SignURL(job.Result.URL, key, time.Now().Add(-time.Hour)) },
		"signed":  func() (string, error) { return jobs.SignURL(job.Result.URL, key, time.Now().Add(time.Hour)) },
	} {
		url, err := sign()
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Client.Result(t.Context(), url)
		statuses[name] = 200
		if p, ok := errors.AsType[*jobs.Problem](err); ok {
			statuses[name] = p.Status
		}
	}
	if diff := cmp.Diff(map[string]int{"not signed": 401, "another key": 403, "expired": 403, "signed": 200}, statuses); diff != "" {
		t.Error(diff)
	}
}

// TestMistakesOfATest looks for words against mistakes that would else be hangs.
func TestMistakesOfATest(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	f := jobstest.NewFake(r)
	job := enqueue(t, f.Client, forecast(1))
	f.Succeed(job.ID, 1)
	for name, f := range map[string]func(){
		"no job has this id":    func() { f.Succeed(jobs.NewID(), 1) },
		"does not allow that":   func() { f.Fail(job.ID, "too late") },
		"unsupported type":      func() { f.Succeed(job.ID, make(chan int)) },
		"tube default":          func() { put(t, f, "", `{}`) },
		`unknown field "idd"`:   func() { put(t, f, "runnerbean/inbox", `{"idd":1}`) },
		"this array":            func() { put(t, f, "runnerbean/inbox", `[{]`) },
		"is not JSON":           func() { put(t, f, "runnerbean/inbox", `x`) },
		"with another document": func() { put(t, f, "runnerbean/inbox", document(job.ID, 2)) },
	} {
		r.said = ""
		f()
		if !strings.Contains(r.said, name) {
			t.Errorf("said %q, want %q in it", r.said, name)
		}
	}
}

func document(id string, days int) string {
	return fmt.Sprintf(`{"id":%q,"program":"forecast","input":{"data":{"days":%d}},"result":{"url":"http://a.example/%[1]s"}}`, id, days)
}

// put puts a message by hand.
func put(t *testing.T, f *jobstest.Fake, tube, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", f.Config().Beanstalkd[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if tube != "" {
		fmt.Fprintf(conn, "use %s\r\n", tube)
	}
	fmt.Fprintf(conn, "put 1024 0 60 %d\r\n%s\r\nquit\r\n", len(body), body)
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
}

func TestArrayOfDocuments(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	one, other := jobs.NewID(), jobs.NewID()
	put(t, f, "runnerbean/inbox", "["+document(one, 1)+","+document(other, 2)+"]")
	if got := f.RequireEnqueued(t, "forecast", 2); got[0].ID != one || got[1].ID != other {
		t.Errorf("got %+v", got)
	}
}

// TestArrayOverHTTP checks that each document has the answer that a node gives.
func TestArrayOverHTTP(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	known, fresh, bad := enqueue(t, f.Client, forecast(1)), jobs.NewID(), jobs.NewID()
	f.Succeed(known.ID, 1)
	again, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	faulty := strings.Replace(document(bad, 1), `"program"`, `"colour":1,"program"`, 1)
	post := func(body string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+"/api/v1/jobs", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+f.Config().Token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	for body, want := range map[string]int{
		"[" + document(fresh, 2) + "," + document(fresh, 2) + "]":              http.StatusUnprocessableEntity,
		"[" + strings.Repeat("{},", api.MaxSubmitted) + "{}]":                  http.StatusUnprocessableEntity,
		"[" + document(fresh, 2) + strings.Repeat(" ", jobs.MaxDocument) + "]": http.StatusRequestEntityTooLarge,
	} {
		if resp := post(body); resp.StatusCode != want {
			t.Errorf("%.100s: %s, want %d", body, resp.Status, want)
		}
	}
	f.RequireEnqueued(t, "forecast", 1)
	resp := post("[" + string(again) + "," + document(fresh, 2) + "," + faulty + "]")
	var got api.Submitted
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || len(got.Jobs) != 3 || got.Refused != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, want := range []api.SubmittedJob{{Status: 200, ID: known.ID, State: jobs.Succeeded}, {Status: 201, ID: fresh, State: jobs.Queued}, {Status: 422, ID: bad}} {
		if g := got.Jobs[i]; g.Status != want.Status || g.ID != want.ID || g.State != want.State || (g.Error != nil) != (want.State == "") {
			t.Errorf("document %d: %+v, want %+v", i, g, want)
		}
	}
}

// TestDurable submits by the API of the fake node.
func TestDurable(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	cfg := f.Config()
	cfg.Durable = true
	client, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("Ping returned %v", err)
	}
	f.FailNext(1, jobs.ErrMaybePut)
	job, err := client.Enqueue(t.Context(), forecast(1))
	if !errors.Is(err, jobs.ErrMaybePut) {
		t.Errorf("got %v, want ErrMaybePut", err)
	}
	enqueue(t, client, job)
	f.RequireEnqueued(t, "forecast", 1)
	job.Input.Data = []byte("2")
	if _, err := client.Enqueue(t.Context(), job); !errors.Is(err, jobs.ErrConflict) {
		t.Errorf("a known id with another input: %v", err)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	if err := f.Client.Ping(t.Context()); err != nil {
		t.Errorf("Ping returned %v", err)
	}
	f.SetDown(true)
	if err := f.Client.Ping(t.Context()); err == nil {
		t.Error("Ping returned nil while the fake is down")
	}
}

// TestManageJobs cancels, retries, reads and lists jobs with the client's own functions.
func TestManageJobs(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	one, other := forecast(1), forecast(2)
	one.Labels = map[string]string{"meter": "42"}
	one, other = enqueue(t, f.Client, one), enqueue(t, f.Client, other)
	f.Succeed(other.ID, "much")
	if res, err := f.Client.Cancel(t.Context(), one.ID); err != nil || res.State != jobs.Cancelled {
		t.Errorf("Cancel: %s, %v", res.State, err)
	}
	if res, err := f.Client.Retry(t.Context(), one.ID); err != nil || res.State != jobs.Queued || res.Error != nil {
		t.Errorf("Retry: %+v, %v", res, err)
	}
	if _, err := f.Client.Retry(t.Context(), other.ID); !errors.Is(err, jobs.ErrConflict) {
		t.Errorf("Retry of a success: %v", err)
	}
	if _, err := f.Client.Get(t.Context(), jobs.NewID()); !errors.Is(err, jobs.ErrUnknown) {
		t.Errorf("Get of nothing: %v", err)
	}
	f.Fail(one.ID, "no such meter")
	d, err := f.Client.Get(t.Context(), one.ID)
	if err != nil || d.Job.Labels["meter"] != "42" || d.Status.Error.Message != "no such meter" || len(d.Allowed) != 3 {
		t.Errorf("Get: %+v, %v", d, err)
	}
	hour := time.Now().Add(-time.Hour)
	for want, filter := range map[string]jobs.Filter{
		"2 1":  {},
		"1":    {State: jobs.Failed, Program: "forecast", Since: hour, Text: "meter"},
		"2":    {State: jobs.Succeeded, Node: "jobstest"},
		"":     {Until: hour},
		"  1 ": {Label: "meter=42"},
	} {
		var got []string
		for res, err := range f.Client.List(t.Context(), filter) {
			if err != nil || res.Result != nil {
				t.Fatalf("%s, %v", res.Result, err)
			}
			got = append(got, map[string]string{one.ID: "1", other.ID: "2"}[res.ID])
		}
		if got := strings.Join(got, " "); got != strings.TrimSpace(want) {
			t.Errorf("%+v lists %q, want %q", filter, got, want)
		}
	}
}

func TestListHasPages(t *testing.T) {
	t.Parallel()
	f := jobstest.NewFake(t)
	batch := make([]jobs.Job, 250)
	for i := range batch {
		batch[i] = forecast(i)
	}
	if _, err := f.Client.EnqueueBatch(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range f.Client.List(t.Context(), jobs.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(batch) {
		t.Errorf("%d of %d jobs are listed", n, len(batch))
	}
}

func TestFakesOfOneTestAreApart(t *testing.T) {
	t.Parallel()
	one, other := jobstest.NewFake(t), jobstest.NewFake(t)
	enqueue(t, one.Client, forecast(1))
	other.RequireNone(t)
}

// TestFakeEndsWithItsTest leaves a stream of another client open.
func TestFakeEndsWithItsTest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	t.Run("inner", func(t *testing.T) {
		f := jobstest.NewFake(t)
		job := enqueue(t, f.Client, forecast(1))
		client, err := jobs.New(f.Config())
		if err != nil {
			t.Fatal(err)
		}
		seen := make(chan bool, 1)
		go func() {
			defer client.Close()
			for res, err := range client.Follow(ctx, job.Result.URL) {
				if err != nil {
					ended <- err
				} else if res.State == jobs.Queued {
					seen <- true
				}
			}
		}()
		<-seen
	})
	cancel() // the fake has ended, though the client has not
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow ended with %v", err)
	}
}
