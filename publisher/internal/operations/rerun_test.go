package operations

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// everyMember is a document with every member.
const everyMember = `{"id":"019aae04-9f80-7c61-8d2e-5b1c7a90e1f2","program":"forecast","input":{"data":{"n": 1}},
	"files":[{"name":"scene.pov","url":"https://files.example/s","size":1234}],
	"result":{"url":"https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"},
	"created":"2026-11-22T06:16:00.123Z","priority":0,"not_before":"2026-11-22T07:00:00+01:00",
	"expires":"2026-11-23T06:16:00Z","timeout":"1h30m","attempts":3,"needs":["4bf92f35-77b3-4da6-a3ce-929d0e0e4736"],
	"needs_timeout":"1d","labels":{"meter":"42"},"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	"webhook":"https://www.example/done","keep":"30d"}`

func TestRerunIsTheSameJobUnderANewID(t *testing.T) {
	t.Parallel()
	old, err := jobdoc.Decode([]byte(everyMember))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 6, 16, 0, 0, time.UTC)
	job := rerun(old, jobs.NewID(), now)
	if job.ID == old.ID || !jobs.ValidID(job.ID) || job.RerunOf != old.ID || !job.Created.Equal(now) {
		t.Errorf("id %s, rerun of %s, created %s", job.ID, job.RerunOf, job.Created)
	}
	if want := "https://results.example/" + job.ID; job.Result.URL != want {
		t.Errorf("result URL %s, want %s", job.Result.URL, want)
	}
	if !job.NotBefore.IsZero() || !job.Expires.IsZero() {
		t.Errorf("not before %s, expires %s", job.NotBefore, job.Expires)
	}
	same := cmpopts.IgnoreFields(jobs.Job{}, "ID", "Result", "Created", "NotBefore", "Expires", "RerunOf")
	if diff := cmp.Diff(old, job, same); diff != "" {
		t.Error(diff)
	}
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jobdoc.Decode(text); err != nil {
		t.Errorf("the new document is refused: %v", err)
	}
	if again := rerun(job, jobs.NewID(), now); again.RerunOf != job.ID || !strings.HasSuffix(again.Result.URL, "/"+again.ID) {
		t.Errorf("a rerun of a rerun: %+v", again)
	}
}
