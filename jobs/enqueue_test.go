package jobs_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	put, err := jobs.Decode(body)
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

func TestEnqueueKeepsWhatIsGiven(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}, Prefix: "other"})
	want, err := jobs.Decode([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Enqueue(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := jobs.Decode(openInbox(t, s.Addr, "other/inbox").take())
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
		"broken data":   {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`{`) }, message: "cannot be written as JSON"},
		"bad UTF-8":     {change: func(j *jobs.Job) { j.Labels = map[string]string{"a": "\xff"} }, message: "cannot be written as JSON"},
		"duplicate":     {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`{"a":1,"a":1}`) }, message: "duplicate"},
		"negative":      {change: func(j *jobs.Job) { j.Timeout = -1 }, pointer: "/timeout", message: "time span"},
		"too large":     {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`"` + strings.Repeat("x", 65500) + `"`) }, err: jobs.ErrTooBig, message: "beanstalkd takes 65535"},
		"far too large": {change: func(j *jobs.Job) { j.Input.Data = json.RawMessage(`"` + strings.Repeat("x", jobs.MaxDocument) + `"`) }, message: "at most 1048576 bytes"},
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
	in := openInbox(t, s.Addr, "runnerbean/inbox")
	for i, want := range got {
		job, err := jobs.Decode(in.take())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, job); diff != "" || string(job.Input.Data) != fmt.Sprint(i) {
			t.Fatalf("job %d: %s", i, diff)
		}
	}
}

func TestEnqueueBatchPutsAllOrNoneThatAreFaulty(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	c := newClient(t, jobs.Config{Beanstalkd: []string{s.Addr}})
	ok := jobs.Job{Program: "forecast", Input: jobs.Input{Data: json.RawMessage(`1`)}}
	bad, named := ok, ok
	bad.Program = "../sh"
	named.ID = anID
	for name, tt := range map[string]struct {
		batch   []jobs.Job
		message string
	}{
		"a fault":  {[]jobs.Job{ok, ok, bad, ok}, "job 2 of the batch"},
		"same ids": {[]jobs.Job{ok, named, ok, named}, "jobs 1 and 3 of the batch have the same id"},
	} {
		got, err := c.EnqueueBatch(t.Context(), tt.batch)
		if err == nil || !strings.Contains(err.Error(), tt.message) || got != nil {
			t.Errorf("%s: %v, %v, want %q", name, got, err, tt.message)
		}
	}
	if got, err := c.EnqueueBatch(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("empty batch: %v, %v", got, err)
	}
	if body := openInbox(t, s.Addr, "runnerbean/inbox").take(); body != nil {
		t.Errorf("was put: %s", body)
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
	if !errors.Is(err, jobs.ErrTooBig) {
		t.Errorf("error %v, want %v", err, jobs.ErrTooBig)
	}
	in := openInbox(t, s.Addr, "runnerbean/inbox")
	var put []string
	for body := in.take(); body != nil; body = in.take() {
		job, err := jobs.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		put = append(put, job.ID)
	}
	var want []string
	for _, job := range got {
		want = append(want, job.ID)
	}
	if diff := cmp.Diff(want, put); diff != "" || len(put) < 2 {
		t.Errorf("said to be put against put: %s", diff)
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
	if got, err := c.EnqueueBatch(t.Context(), []jobs.Job{job, job}); err == nil || len(got) != 0 {
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

func BenchmarkEnqueueBatch(b *testing.B) {
	s := queuetest.Start(b)
	c, err := jobs.New(jobs.Config{Beanstalkd: []string{s.Addr}})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	batch := make([]jobs.Job, 1000)
	for i := range batch {
		batch[i] = jobs.Job{Program: "forecast", Input: jobs.Input{URL: "https://grid.example/meters/42.json"}}
	}
	n := 0
	for b.Loop() {
		if _, err := c.EnqueueBatch(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		n += len(batch)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "jobs/s")
}
