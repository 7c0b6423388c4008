package batch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestLargeBatch makes documents of the frames where that of the batch would be too large.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	for lines, want := range map[int]int{10: 1, 5000: 5000} {
		b := jobs.Batch{Job: jobs.Job{Program: "p"}}
		for n := range lines {
			b.Frames = append(b.Frames, jobs.Frame{Number: n, Values: map[string]json.RawMessage{"line": fmt.Appendf(nil, `"%0300d"`, n)}})
		}
		list, err := Documents(&b)
		if err != nil || len(list) != want {
			t.Fatalf("%d lines: %d documents, %v", lines, len(list), err)
		}
		var job jobs.Job
		if err := json.Unmarshal(list[len(list)-1], &job); err != nil || (job.Program == jobs.BatchProgram) != (want == 1) || len(list[0]) > jobs.MaxDocument {
			t.Errorf("%d lines: %+v, %v", lines, job, err)
		}
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
