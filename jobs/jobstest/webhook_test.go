package jobstest_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/jobs/jobstest"
)

func TestNewWebhook(t *testing.T) {
	t.Parallel()
	const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	want := jobs.WebhookJob{ID: jobs.NewID(), Program: "forecast", State: jobs.Failed, Class: jobs.OutcomeTimeout}
	r := jobstest.NewWebhook(t, key, want)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	hook, err := jobs.VerifyWebhook(r.Header, body, key, time.Now())
	if err != nil || hook.Data != want || hook.Type != "job.failed" {
		t.Errorf("got %+v, %v", hook, err)
	}
	bad := &recorder{TB: t}
	func() { defer bad.recover(); jobstest.NewWebhook(bad, "secret", want) }()
	if !strings.Contains(bad.said, "jobstest: ") {
		t.Errorf("of a bad key it said %q", bad.said)
	}
}
