package batch

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/batchtar"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestLargeBatch puts the frames into a file where the document would be too large.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	for lines, large := range map[int]bool{10: false, 5000: true, 100_000: true} {
		b := jobs.Batch{Job: jobs.Job{Program: "p", Labels: map[string]string{"a": "b"}}, MaxRunning: 7}
		for n := range lines {
			b.Frames = append(b.Frames, jobs.Frame{Number: n, Values: map[string]json.RawMessage{"line": fmt.Appendf(nil, `"%0230d"`, n)}})
		}
		document, frames, err := Document(&b)
		if err != nil || (frames != nil) != large || len(document) > jobs.MaxDocument {
			t.Fatalf("%d lines: %d and %d bytes, %v", lines, len(document), len(frames), err)
		}
		if !large {
			continue
		}
		var packed bytes.Buffer
		if err := WriteTar(&packed, document, frames); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		found, err := batchtar.Read(t.Context(), &packed, func(name string, _ int64, r io.Reader) (string, error) {
			text, err := io.ReadAll(r)
			digest := fmt.Sprintf("%x", sha256.Sum256(text))
			files[digest] = string(text)
			return digest, err
		})
		if err != nil {
			t.Fatal(err)
		}
		whole, err := found.Whole()
		if err != nil {
			t.Fatal(err)
		}
		if whole, err = Whole(whole); err == nil {
			whole, err = jobdoc.Complete(whole, "http://a.example", time.Now())
		}
		if err != nil {
			t.Fatal(err)
		}
		job, err := jobdoc.Decode(whole)
		if err != nil || job.ID != b.ID || job.Labels["a"] != "b" {
			t.Fatalf("%+v, %v", job, err)
		}
		read, expander, err := jobdoc.Batch(&job, func(digest string) ([]byte, error) { return []byte(files[digest]), nil })
		if err != nil || expander.Len() != lines || read.MaxRunning != 7 || string(expander.Frame(9).Values["line"]) != fmt.Sprintf(`"%0230d"`, 9) {
			t.Errorf("%+v, %v", read, err)
		}
	}
}

// TestTooLargeBatch refuses a batch whose frames no file may have.
func TestTooLargeBatch(t *testing.T) {
	t.Parallel()
	b := jobs.Batch{Job: jobs.Job{Program: "p"}}
	for n := range 100 {
		b.Frames = append(b.Frames, jobs.Frame{Number: n, Values: map[string]json.RawMessage{"line": fmt.Appendf(nil, `"%0400000d"`, n)}})
	}
	if _, _, err := Document(&b); err == nil || !strings.Contains(err.Error(), "larger than 32 MiB") {
		t.Errorf("%v", err)
	}
}

// TestWhole turns a batch in one object into a job document, and leaves others as they are.
func TestWhole(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{"job":{"program":"p"},"frames":"1-3"}`: `"program":"batch"`,
		`{"program":"p","input":{"data":1}}`:     `{"program":"p","input":{"data":1}}`,
		`not JSON`:                               `not JSON`,
	} {
		if got, err := Whole([]byte(document)); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s: %s, %v", document, got, err)
		}
	}
}
