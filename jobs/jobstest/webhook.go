package jobstest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
)

// NewWebhook returns the request with which a node says that a job has ended, for the test
// of a handler that uses [jobs.VerifyWebhook]. It is signed with a key, the text of a key
// file: "whsec_" and base64.
func NewWebhook(tb testing.TB, key string, job jobs.WebhookJob) *http.Request {
	tb.Helper()
	secret, err := signature.WebhookKey(key)
	if err != nil {
		tb.Fatalf("jobstest: %v", err)
	}
	now := time.Now().UTC()
	body, err := json.Marshal(jobs.Webhook{Type: "job." + string(job.State), Timestamp: now, Data: job})
	if err != nil {
		tb.Fatalf("jobstest: %v", err)
	}
	id, stamp := jobs.NewID(), strconv.FormatInt(now.Unix(), 10)
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(signature.WebhookID, id)
	r.Header.Set(signature.WebhookTimestamp, stamp)
	r.Header.Set(signature.WebhookSignature, signature.Webhook(id, stamp, body, secret))
	return r
}
