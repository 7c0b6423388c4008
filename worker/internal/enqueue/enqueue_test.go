package enqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

const parentID = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

func parentJob() *jobs.Job {
	priority := uint32(5)
	return &jobs.Job{ID: parentID, Program: "fetch", Priority: &priority, Result: jobs.Target{URL: "http://a.example/r/" + parentID}}
}

// TestDocument makes valid documents, the same in each attempt.
func TestDocument(t *testing.T) {
	t.Parallel()
	for request, check := range map[string]func(jobs.Job) bool{
		`{"key":"a","program":"parse","input":{"data":1}}`: func(j jobs.Job) bool {
			return *j.Priority == 5 && j.Labels["parent"] == parentID && j.Labels["family"] == parentID && j.Labels["depth"] == "1"
		},
		`{"key":"b","program":"parse","input":{"url":"http://b.example/x"},"files":[{"name":"f","url":"http://b.example/f"}],"priority":9,"labels":{"depth":"0","x":"y"}}`: func(j jobs.Job) bool {
			return *j.Priority == 9 && j.Labels["depth"] == "1" && j.Labels["x"] == "y" && j.Files[0].Name == "f"
		},
		`{"key":"c","program":"parse","input":{"data":1},"needs":["key:a","` + jobs.NewID() + `"],"needs_failed":"run","timeout":"1m","attempts":2,"keep":"1d"}`: func(j jobs.Job) bool {
			return j.Needs[0] == jobs.DerivedID(parentID, "enqueue/a") && len(j.Needs) == 2 && j.Attempts == 2
		},
	} {
		var documents []string
		for range 2 {
			e := New(Config{Parent: parentJob(), Programs: []string{"parse"}, Accept: func(_ context.Context, document []byte) error {
				documents = append(documents, string(document))
				return nil
			}})
			if err := e.Enqueue(t.Context(), []byte(request)); err != nil {
				t.Fatalf("%s: %v", request, err)
			}
		}
		job, err := jobdoc.Decode([]byte(documents[0]))
		if err != nil || !check(job) || documents[0] != documents[1] || !strings.HasPrefix(job.Result.URL, "http://a.example/r/") {
			t.Errorf("%s: %v, %s", request, err, documents)
		}
	}
}

// TestFamily keeps the family of the parent, and counts the depth.
func TestFamily(t *testing.T) {
	t.Parallel()
	parent := parentJob()
	parent.Labels = map[string]string{"family": "f", "depth": "3", "parent": "p"}
	var job jobs.Job
	e := New(Config{Parent: parent, Programs: []string{"parse"}, Accept: func(_ context.Context, document []byte) (err error) {
		job, err = jobdoc.Decode(document)
		return err
	}})
	if err := e.Enqueue(t.Context(), []byte(`{"key":"a","program":"parse","input":{"data":1}}`)); err != nil {
		t.Fatal(err)
	}
	if job.Labels["family"] != "f" || job.Labels["depth"] != "4" || job.Labels["parent"] != parentID {
		t.Errorf("%v", job.Labels)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	deep := parentJob()
	deep.Labels = map[string]string{"depth": "16"}
	for request, want := range map[string]string{
		`1`: "must be an object",
		`{"key":"a","program":"parse","input":{"data":1},"id":"x"}`:       "must be an object",
		`{"program":"parse","input":{"data":1}}`:                          "key must have 1 to 256 bytes",
		`{"key":"a","program":"rm","input":{"data":1}}`:                   `program "rm" is not in enqueue of the program.json of fetch`,
		`{"key":"a","program":"parse"}`:                                   "input is missing",
		`{"key":"a","program":"parse","input":{"data":1},"timeout":"-1"}`: "timeout must be",
		`{"key":"deep","program":"parse","input":{"data":1}}`:             "16 jobs are above this one already",
	} {
		parent := parentJob()
		if strings.Contains(request, "deep") {
			parent = deep
		}
		e := New(Config{Parent: parent, Programs: []string{"parse"}, Accept: func(_ context.Context, document []byte) error {
			_, err := jobdoc.Decode(document)
			return err
		}})
		var f *fault.Fault
		if err := e.Enqueue(t.Context(), []byte(request)); !errors.As(err, &f) || f.Outcome != jobs.OutcomeFailed || !strings.Contains(f.Message, want) {
			t.Errorf("%s: %v, want %q", request, err, want)
		}
	}
}

// TestManyJobs bounds the jobs of one attempt.
func TestManyJobs(t *testing.T) {
	t.Parallel()
	e := New(Config{Parent: parentJob(), Programs: []string{"parse"}, Accept: func(context.Context, []byte) error { return nil }})
	for n := range maxJobs + 1 {
		err := e.Enqueue(t.Context(), fmt.Appendf(nil, `{"key":"%d","program":"parse","input":{"data":1}}`, n))
		if (err != nil) != (n == maxJobs) {
			t.Fatalf("job %d: %v", n, err)
		}
	}
}

// TestTriedAgain waits for a ledger that does not answer, takes a conflict for done, and gives
// up when the attempt is stopped.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	answers := []error{errors.New("the disk is full"), fmt.Errorf("accept: %w", ledger.ErrConflict)}
	e := New(Config{Parent: parentJob(), Programs: []string{"parse"}, Log: &log, Accept: func(context.Context, []byte) error {
		err := answers[0]
		answers = answers[1:]
		return err
	}})
	request := []byte(`{"key":"a","program":"parse","input":{"data":1}}`)
	if err := e.Enqueue(t.Context(), request); err != nil || len(answers) != 0 {
		t.Errorf("%v, %d answers are left", err, len(answers))
	}
	if text := log.String(); !strings.Contains(text, "the disk is full; it is tried again") || !strings.Contains(text, "stands") {
		t.Errorf("the log says %q", text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	answers = []error{errors.New("the disk is full")}
	var f *fault.Fault
	if err := e.Enqueue(ctx, request); !errors.As(err, &f) || f.Outcome != jobs.OutcomeInterrupted {
		t.Errorf("%v", err)
	}
}
