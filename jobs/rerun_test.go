package jobs_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestRerunIsTheSameJobUnderANewID(t *testing.T) {
	t.Parallel()
	old, err := jobs.Decode([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 6, 16, 0, 0, time.UTC)
	job := old.Rerun(now)
	if job.ID == old.ID || !jobs.ValidID(job.ID) || job.RerunOf != old.ID || !job.Created.Equal(now) {
		t.Errorf("id %s, rerun of %s, created %s", job.ID, job.RerunOf, job.Created)
	}
	if want := "https://results.example/" + job.ID; job.Result.URL != want {
		t.Errorf("result URL %s, want %s", job.Result.URL, want)
	}
	if job.Needs != nil || job.NeedsTimeout != 0 || !job.NotBefore.IsZero() || !job.Expires.IsZero() {
		t.Errorf("bound to needs %v, not before %s, expires %s", job.Needs, job.NotBefore, job.Expires)
	}
	same := cmpopts.IgnoreFields(jobs.Job{}, "ID", "Result", "Created", "NotBefore", "Expires", "Needs", "NeedsTimeout", "RerunOf")
	if diff := cmp.Diff(old, job, same); diff != "" {
		t.Error(diff)
	}
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jobs.Decode(text); err != nil {
		t.Errorf("the new document is refused: %v", err)
	}
	if again := job.Rerun(now); again.RerunOf != job.ID || !strings.HasSuffix(again.Result.URL, "/"+again.ID) {
		t.Errorf("a rerun of a rerun: %+v", again)
	}
}
