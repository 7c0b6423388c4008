package jobs_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestFaultsHoldNoSecrets: messages reach logs, events and pages.
func TestFaultsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"https://user:hunter2@shop.example/done", "ftp://user:hunter2@shop.example/", "https://user:hun ter2@shop.example/",
		"https://user:hunter2@:80/", "https://shop.example:x/?signature=hunter2", "https://shop.example/ ?signature=hunter2#hunter2",
	} {
		for name, set := range map[string]func(*jobs.Job){
			"webhook": func(j *jobs.Job) { j.Webhook = url },
			"input":   func(j *jobs.Job) { j.Input = jobs.Input{URL: url} },
			"file":    func(j *jobs.Job) { j.Files = []jobs.File{{Name: "a", URL: url}} },
			"result":  func(j *jobs.Job) { j.Result.URL = url },
		} {
			job := everyField()
			set(&job)
			text, err := json.Marshal(job)
			if err != nil {
				t.Fatal(err)
			}
			_, decoded := jobdoc.Decode(text)
			for _, err := range []error{job.Validate(), decoded} {
				f, ok := errors.AsType[*jobs.Fault](err)
				if !ok || !strings.HasSuffix(f.Pointer, "url") && f.Pointer != "/webhook" {
					t.Errorf("%s %s: %v", name, url, err)
				}
				if said := err.Error() + f.ResultURL; strings.Contains(said, "hunter2") || strings.Contains(said, "ter2") {
					t.Errorf("%s %s: told in %s", name, url, said)
				}
			}
		}
	}
}
