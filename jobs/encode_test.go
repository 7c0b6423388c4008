package jobs_test

import (
	"encoding/json"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/runnerbean/runnerbean/internal/jobdoc/jobdoctest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestDocumentsAreWhatTheTagsSay checks that the encoder writes a valid job as a general
// encoder writes it by the tags of the struct.
func TestDocumentsAreWhatTheTagsSay(t *testing.T) {
	t.Parallel()
	sameDocument(t, everyField())
	for job := range jobdoctest.Each {
		sameDocument(t, job)
	}
	rapid.Check(t, func(t *rapid.T) { sameDocument(t, jobdoctest.Draw(t)) })
}

func FuzzDocument(f *testing.F) {
	text, err := json.Marshal(everyField())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		var job jobs.Job
		if json.Unmarshal(text, &job) == nil {
			sameDocument(t, job)
		}
	})
}

func sameDocument(t interface{ Fatalf(string, ...any) }, job jobs.Job) {
	if job.Validate() != nil {
		return
	}
	want, err := jsonv2.Marshal(job, jsonv2.Deterministic(true))
	if err != nil {
		t.Fatalf("valid, but cannot be written: %v", err)
	}
	got, fault := jobs.AppendJob([]byte("x"), &job)
	if diff := cmp.Diff("x"+string(want), string(got)); diff != "" || fault != nil {
		t.Fatalf("%v %s", fault, diff)
	}
}
