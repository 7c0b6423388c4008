package jobs_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// inbox reads raw from a beanstalkd what a client has put.
type inbox struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func openInbox(t *testing.T, addr, tube string) *inbox {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := &inbox{t, conn, bufio.NewReader(conn)}
	if line := in.ask("watch " + tube); line != "WATCHING 2" {
		t.Fatalf("watch: %q", line)
	}
	return in
}

func (in *inbox) ask(command string) string {
	in.t.Helper()
	if _, err := fmt.Fprintf(in.conn, "%s\r\n", command); err != nil {
		in.t.Fatal(err)
	}
	line, err := in.r.ReadString('\n')
	if err != nil {
		in.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// take reserves a job and returns its body, or "" if there is none.
func (in *inbox) take() []byte {
	in.t.Helper()
	line := in.ask("reserve-with-timeout 0")
	var id, size int
	if n, _ := fmt.Sscanf(line, "RESERVED %d %d", &id, &size); n != 2 {
		return nil
	}
	body := make([]byte, size+2)
	if _, err := io.ReadFull(in.r, body); err != nil {
		in.t.Fatal(err)
	}
	return body[:size]
}

func newClient(t *testing.T, cfg jobs.Config) *jobs.Client {
	t.Helper()
	c, err := jobs.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestEnqueue(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}, BaseURL: "https://results.example/"})
	urgent := uint32(3)
	got, err := c.Enqueue(t.Context(), jobs.Job{
		Program:  "forecast",
		Priority: &urgent,
		Input:    jobs.Input{Data: json.RawMessage(`{"n":12345678901234567890.10,"s":"<&>"}`)},
		Labels:   map[string]string{"b": "2", "a": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !jobs.ValidID(got.ID) || got.Result.URL != "https://results.example/"+got.ID || time.Since(got.Created).Abs() > time.Hour {
		t.Errorf("not filled in: %+v", got)
	}
	in := openInbox(t, s.Addr, "runnerbean/inbox")
	body := in.take()
	put, err := jobdoc.Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, put); diff != "" {
		t.Error(diff)
	}
	if stats := in.ask("stats-job 1"); !strings.HasPrefix(stats, "OK") {
		t.Fatal(stats)
	}
	for range 4 { // ---, id, tube, state
		_, _ = in.r.ReadString('\n')
	}
	if line, _ := in.r.ReadString('\n'); strings.TrimSpace(line) != "pri: 3" {
		t.Errorf("%q, want pri: 3", line)
	}
}

// everyField returns a job with all fields set but for input.url.
func everyField() jobs.Job {
	const digest, other = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"
	at := time.Date(2026, 11, 22, 6, 16, 0, 123e6, time.UTC)
	return jobs.Job{
		ID: anID, Program: "forecast", Input: jobs.Input{Data: json.RawMessage(`{"n": 12345678901234567890.5}`)},
		Files:  []jobs.File{{Name: "scene.pov", URL: "https://files.example/s?x=1#y", SHA256: digest, Size: 1234}},
		Result: jobs.Target{URL: "https://results.example/" + anID}, Created: at, Priority: new(uint32),
		NotBefore: at.Add(time.Hour).In(time.FixedZone("", 3600)), Expires: at.Add(24 * time.Hour),
		Timeout: jobs.Duration(90 * time.Minute), Attempts: 3, Needs: []string{other}, NeedsTimeout: jobs.Forever,
		Labels: map[string]string{"meter": "42", "a": "<&>\u2028 é"}, Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		Webhook: "https://www.example/done?shop=7", Keep: jobs.Keep{Succeeded: jobs.Forever, Failed: jobs.Duration(time.Hour)}, Repeat: jobs.Duration(10 * time.Minute), RerunOf: other,
	}
}

func TestEnqueueKeepsWhatIsGiven(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}, Prefix: "other"})
	want := everyField()
	if _, err := c.Enqueue(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := jobdoc.Decode(openInbox(t, s.Addr, "other/inbox").take())
	if err != nil {
		t.Fatal(err)
	}
	want.Input.Data = json.RawMessage(`{"n":12345678901234567890.5}`) // compact now
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEnqueueRefuses(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}})
	ok := jobs.Job{Program: "forecast", Input: jobs.Input{Data: json.RawMessage(`1`)}}
	for name, tt := range map[string]struct {
		change  func(*jobs.Job)
		pointer string // of the fault
		message string
		err     error
	}{
		"no program":    {change: func(j *jobs.Job) { j.Program = "" }, pointer: "/program", message: "program must be"},
		"no input":      {change: func(j *jobs.Job) { j.Input = jobs.Input{} }, pointer: "/input", message: "exactly one of url and data"},
		"bad id":        {change: func(j *jobs.Job) { j.ID = "7" }, pointer: "/id", message: "UUID"},
		"other id":      {change: func(j *jobs.Job) { j.Result.URL = "http://a/b" }, pointer: "/result/url", message: "must end in"},
		"broken data":   {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`{`) }, pointer: "/input/data", message: "must be a JSON value"},
		"empty data":    {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage{} }, pointer: "/input/data", message: "is empty"},
		"not a number":  {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`NaN`) }, pointer: "/input/data", message: "must be a JSON value"},
		"deep data":     {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(strings.Repeat("[", 63) + strings.Repeat("]", 63)) }, pointer: "/input/data", message: "deeper"},
		"year 10000":    {change: func(j *jobs.Job) { j.NotBefore = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, pointer: "/not_before", message: "years 0 to 9999"},
		"year -1":       {change: func(j *jobs.Job) { j.Expires = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }, pointer: "/expires", message: "years 0 to 9999"},
		"bad UTF-8 URL": {change: func(j *jobs.Job) { j.Webhook = "http://a/\xff" }, pointer: "/webhook", message: "absolute http"},
		"bad UTF-8":     {change: func(j *jobs.Job) { j.Labels = map[string]string{"a": "\xff"} }, pointer: "/labels/a", message: "valid UTF-8"},
		"duplicate":     {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`{"a":1,"a":1}`) }, pointer: "/input/data/a", message: "occurs twice"},
		"negative":      {change: func(j *jobs.Job) { j.Timeout = -1 }, pointer: "/timeout", message: "time span"},
		"too large":     {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`"` + strings.Repeat("x", 65500) + `"`) }, err: jobs.ErrTooBig, message: "at most 65535 are taken"},
		"far too large": {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`"` + strings.Repeat("x", jobs.MaxDocument) + `"`) }, err: jobs.ErrTooBig, message: "at most 65535 are taken"},
	} {
		job := ok
		tt.change(&job)
		_, err := c.Enqueue(t.Context(), job)
		if err == nil || !strings.Contains(err.Error(), tt.message) || tt.err != nil && !errors.Is(err, tt.err) {
			t.Errorf("%s: error %v, want %q in it", name, err, tt.message)
		}
		if f, is := errors.AsType[*jobs.Fault](err); tt.pointer != "" && (!is || f.Pointer != tt.pointer) {
			t.Errorf("%s: error %v, want a fault at %s", name, err, tt.pointer)
		}
	}
	if body := openInbox(t, s.Addr, "runnerbean/inbox").take(); body != nil {
		t.Errorf("was put: %s", body)
	}
}

func TestEnqueueBatch(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}})
	batch := make([]jobs.Job, 1000)
	for i := range batch {
		batch[i] = jobs.Job{Program: "forecast", Input: jobs.Input{Data: json.RawMessage(fmt.Sprint(i))}}
	}
	got, err := c.EnqueueBatch(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(batch) {
		t.Fatalf("%d jobs, want %d", len(got), len(batch))
	}
	put, sizes := openInbox(t, s.Addr, "runnerbean/inbox").jobs()
	if len(put) != len(batch) || len(sizes) > 5 {
		t.Fatalf("%d jobs were put, in messages of %v", len(put), sizes)
	}
	for i, want := range got {
		if diff := cmp.Diff(want, jobs.Enqueued{Job: put[i]}); diff != "" || string(put[i].Input.Data) != fmt.Sprint(i) {
			t.Fatalf("job %d: %s", i, diff)
		}
	}
}

// jobs takes all messages of the inbox. It returns the jobs in them, and how many each
// message has.
func (in *inbox) jobs() (list []jobs.Job, sizes []int) {
	in.t.Helper()
	for body := in.take(); body != nil; body = in.take() {
		documents := []json.RawMessage{body}
		if body[0] == '[' {
			if err := json.Unmarshal(body, &documents); err != nil {
				in.t.Fatal(err)
			}
		}
		for _, document := range documents {
			job, err := jobdoc.Decode(document)
			if err != nil {
				in.t.Fatal(err)
			}
			list = append(list, job)
		}
		sizes = append(sizes, len(documents))
	}
	return list, sizes
}

// ids returns the ids of the jobs on the inbox.
func (in *inbox) ids() []string {
	in.t.Helper()
	var ids []string
	list, _ := in.jobs()
	for _, job := range list {
		ids = append(ids, job.ID)
	}
	return ids
}

// TestEnqueueBatchPacks checks which jobs share a message.
func TestEnqueueBatchPacks(t *testing.T) {
	t.Parallel()
	urgent, usual := uint32(3), jobs.DefaultPriority
	small := jobs.Job{Program: "forecast", Input: jobs.Input{Data: json.RawMessage(`1`)}}
	first, named, large := small, small, small
	first.Priority, named.Priority = &urgent, &usual
	large.Input.Data = json.RawMessage(`"` + strings.Repeat("x", 40_000) + `"`)
	for name, c := range map[string]struct {
		maxBody int
		batch   []jobs.Job
		sizes   []int
	}{
		"one":           {0, []jobs.Job{small}, []int{1}},
		"many":          {0, slices.Repeat([]jobs.Job{small}, 600), []int{256, 256, 88}},
		"priorities":    {0, []jobs.Job{small, named, first, first, first, small}, []int{3, 2, 1}}, // the urgent ones come first
		"large ones":    {0, []jobs.Job{small, large, small, large, small, small}, []int{3, 3}},
		"a great -z":    {jobs.MaxDocument, []jobs.Job{large, large, small}, []int{1, 2}},
		"a small limit": {500, slices.Repeat([]jobs.Job{small}, 4), []int{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := queuetest.Start(t, "-z", "1048576")
			client := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}, MaxBody: c.maxBody})
			got, err := client.EnqueueBatch(t.Context(), c.batch)
			if err != nil {
				t.Fatal(err)
			}
			put, sizes := openInbox(t, s.Addr, "runnerbean/inbox").jobs()
			if diff := cmp.Diff(c.sizes, sizes); diff != "" {
				t.Errorf("jobs in each message: %s", diff)
			}
			slices.SortStableFunc(got, func(a, b jobs.Enqueued) int {
				return int(int64(a.Job.EffectivePriority()) - int64(b.Job.EffectivePriority()))
			})
			for i := range got {
				if got[i].Job.ID != put[i].ID {
					t.Fatalf("job %d is not in its place", i)
				}
			}
		})
	}
}

// putOf returns the ids of the jobs that were put, by what EnqueueBatch says.
func putOf(batch []jobs.Enqueued) []string {
	var ids []string
	for _, e := range batch {
		if e.Err == nil {
			ids = append(ids, e.Job.ID)
		}
	}
	return ids
}

func TestEnqueueBatchPutsWhatIsValid(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}})
	ok := jobs.Job{Program: "forecast", Input: jobs.Input{Data: json.RawMessage(`1`)}}
	bad, named, large := ok, ok, ok
	bad.Program, named.ID = "../sh", anID
	large.Input.Data = json.RawMessage(`"` + strings.Repeat("x", jobs.MaxQueued) + `"`)
	got, err := c.EnqueueBatch(t.Context(), []jobs.Job{ok, bad, named, ok, named, large})
	for _, want := range []error{jobs.ErrNotPut, jobs.ErrInvalid, jobs.ErrTooBig} {
		if !errors.Is(err, want) {
			t.Errorf("the batch has the error %v, want %v", err, want)
		}
	}
	if errors.Is(err, jobs.ErrMaybePut) || !strings.Contains(fmt.Sprint(err), "batch of 6: 3 put, 3 not put, 0 may have been put; the first error: job "+got[1].Job.ID+": program must be") {
		t.Errorf("the batch has the error %v", err)
	}
	for i, pointer := range []string{1: "/program", 4: "/id", 5: ""} {
		f, is := errors.AsType[*jobs.Fault](got[i].Err)
		if is && (!errors.Is(f, jobs.ErrInvalid) || !errors.Is(f, jobs.ErrNotPut) || errors.Is(f, jobs.ErrMaybePut)) {
			t.Errorf("job %d: %v is not what it should be", i, f)
		}
		if pointer != "" && (f == nil || f.Pointer != pointer || f.ID != got[i].Job.ID || f.ID == "") {
			t.Errorf("job %d: %v, want a fault at %s", i, got[i].Err, pointer)
		}
	}
	if err := got[5].Err; !errors.Is(err, jobs.ErrTooBig) || !errors.Is(err, jobs.ErrNotPut) || !strings.Contains(err.Error(), got[5].Job.ID) {
		t.Errorf("the large job: %v", err)
	}
	put := openInbox(t, s.Addr, "runnerbean/inbox").ids()
	if diff := cmp.Diff(putOf(got), put); diff != "" || len(put) != 3 {
		t.Errorf("said to be put against put: %s", diff)
	}
	if got, err := c.EnqueueBatch(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("empty batch: %v, %v", got, err)
	}
}

// TestEnqueueBatchInPart: a server with a smaller limit than we know of takes
// the jobs before the large one.
func TestEnqueueBatchInPart(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "-z", "1000")
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}})
	batch := make([]jobs.Job, 4)
	for i := range batch {
		batch[i] = jobs.Job{Program: "forecast", Input: jobs.Input{Data: json.RawMessage(`1`)}}
	}
	batch[2].Input.Data = json.RawMessage(`"` + strings.Repeat("x", 2000) + `"`)
	got, err := c.EnqueueBatch(t.Context(), batch)
	if !errors.Is(err, jobs.ErrTooBig) || !errors.Is(got[2].Err, jobs.ErrTooBig) {
		t.Errorf("error %v, want %v", err, jobs.ErrTooBig)
	}
	put := openInbox(t, s.Addr, "runnerbean/inbox").ids()
	for _, e := range got {
		if was := slices.Contains(put, e.Job.ID); e.Err == nil && !was || errors.Is(e.Err, jobs.ErrNotPut) && was {
			t.Errorf("%s: put is %v, and its error %v", e.Job.ID, was, e.Err)
		}
	}
	if len(put) < 2 {
		t.Errorf("only %d were put", len(put))
	}
}

func TestEnqueueGoesToTheServerThatAnswers(t *testing.T) {
	t.Parallel()
	one, two := queuetest.Start(t), queuetest.Start(t)
	c := newClient(t, jobs.Config{Beanstalkd: []string{one.Addr, two.Addr}})
	job := jobs.Job{Program: "forecast", Input: jobs.Input{Data: json.RawMessage(`1`)}}
	if _, err := c.Enqueue(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	one.Kill()
	if _, err := c.Enqueue(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if body := openInbox(t, two.Addr, "runnerbean/inbox").take(); body == nil {
		t.Error("nothing on the second server")
	}
	two.Kill()
	// On a connection that ended while it was idle nobody knows.
	if _, err := c.Enqueue(t.Context(), job); !errors.Is(err, jobs.ErrNotPut) && !errors.Is(err, jobs.ErrMaybePut) {
		t.Errorf("without servers: %v", err)
	}
	if got, err := c.EnqueueBatch(t.Context(), []jobs.Job{job, job}); !errors.Is(err, jobs.ErrNotPut) || errors.Is(err, jobs.ErrMaybePut) || len(putOf(got)) != 0 {
		t.Errorf("without servers: %v, %v", got, err)
	}
	one.Restart()
	if _, err := c.Enqueue(t.Context(), job); err != nil {
		t.Fatal(err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]jobs.Config{
		"prefix":      {Prefix: "a b"},
		"long prefix": {Prefix: strings.Repeat("a", 200)},
		"address":     {Beanstalkd: []string{"no where"}},
		"base":        {BaseURL: "results.example"},
		"base user":   {BaseURL: "http://u@results.example"},
		"base query":  {BaseURL: "http://results.example?a=b"},
		"grace":       {Grace: -1},
		"size":        {MaxResult: -1},
	} {
		if c, err := jobs.New(cfg); err == nil {
			_ = c.Close()
			t.Errorf("%s: no error", name)
		}
	}
	c := newClient(t, jobs.Config{})
	if _, err := c.Enqueue(t.Context(), jobs.Job{}); err == nil {
		t.Error("an empty job was put")
	}
}
