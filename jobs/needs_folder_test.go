package jobs

import (
	"errors"
	"strings"
	"testing"
)

// TestFileBesideNeeds refuses a file where the folder of the needs will be.
func TestFileBesideNeeds(t *testing.T) {
	t.Parallel()
	j := Job{
		ID: NewID(), Program: "p", Input: Input{Data: []byte("1")}, Files: []File{{Name: "a", URL: "http://a/b"}, {Name: "needs", URL: "http://a/b"}},
	}
	j.Result.URL = "http://127.0.0.1/" + j.ID
	if err := j.Validate(); err != nil {
		t.Errorf("without needs: %v", err)
	}
	j.Needs = []string{NewID()}
	var f *Fault
	if err := j.Validate(); !errors.As(err, &f) || f.Pointer != "/files/1/name" || !strings.Contains(f.Message, `must not be "needs" in a job with needs`) {
		t.Errorf("with needs: %v", err)
	}
}
