package jobs

import (
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/signature"
)

// ErrWebhook is wrapped by the error of a request that does not come from a node
// with the key, or is too old.
var ErrWebhook = errors.New("jobs: not a genuine webhook")

// webhookTolerance is how far the clocks of node and receiver may differ. An older
// request may be a replay.
const webhookTolerance = 5 * time.Minute

// Webhook is the body of the POST that says that a job has ended.
type Webhook struct {
	// ID is the same in each repetition. It is in the header.
	ID string `json:"-"`
	// Type is "job." and the state.
	Type      string     `json:"type"`
	Timestamp time.Time  `json:"timestamp"` // of the end
	Data      WebhookJob `json:"data"`
}

// WebhookJob is the job in a webhook.
type WebhookJob struct {
	ID        string    `json:"id"`
	Program   string    `json:"program"`
	State     State     `json:"state"`
	Timestamp time.Time `json:"timestamp"`
	// URL is where the result is read.
	URL string `json:"url"`
	// Class of the error, where the job did not succeed.
	Class Outcome `json:"class,omitempty"`
}

// VerifyWebhook checks that a webhook comes from a node with this key, the text
// of its key file ("whsec_" and base64), and reads it. body is that of the
// request byte for byte; read it with a limit, such as 64 KiB. The error wraps
// [ErrWebhook]: answer 401.
func VerifyWebhook(header http.Header, body []byte, key string, now time.Time) (Webhook, error) {
	secret, err := signature.WebhookKey(key)
	if err != nil {
		return Webhook{}, fmt.Errorf("jobs: %w", err)
	}
	id, stamp := header.Get(signature.WebhookID), header.Get(signature.WebhookTimestamp)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" {
		return Webhook{}, fmt.Errorf("%w: it has no %s or %s", ErrWebhook, signature.WebhookID, signature.WebhookTimestamp)
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > webhookTolerance {
		return Webhook{}, fmt.Errorf("%w: its time is more than %s off this clock", ErrWebhook, webhookTolerance)
	}
	if !signedBy(header.Get(signature.WebhookSignature), signature.Webhook(id, stamp, body, secret)) {
		return Webhook{}, fmt.Errorf("%w: no signature in it is by this key", ErrWebhook)
	}
	w := Webhook{ID: id}
	if err := json.Unmarshal(body, &w); err != nil {
		return Webhook{}, fmt.Errorf("%w: %w", ErrWebhook, err)
	}
	return w, nil
}

// signedBy looks for a signature in a list with spaces between.
func signedBy(list, want string) bool {
	found := false
	for _, got := range strings.Fields(list) {
		found = hmac.Equal([]byte(got), []byte(want)) || found
	}
	return found
}
