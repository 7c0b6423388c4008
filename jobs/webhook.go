package jobs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The header fields of a webhook, as Standard Webhooks names them.
const (
	HeaderWebhookID        = "webhook-id"
	HeaderWebhookTimestamp = "webhook-timestamp"
	HeaderWebhookSignature = "webhook-signature"
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
	secret, err := WebhookKey(key)
	if err != nil {
		return Webhook{}, err
	}
	id, stamp := header.Get(HeaderWebhookID), header.Get(HeaderWebhookTimestamp)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" {
		return Webhook{}, fmt.Errorf("%w: it has no %s or %s", ErrWebhook, HeaderWebhookID, HeaderWebhookTimestamp)
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > webhookTolerance {
		return Webhook{}, fmt.Errorf("%w: its time is more than %s off this clock", ErrWebhook, webhookTolerance)
	}
	if !signedBy(header.Get(HeaderWebhookSignature), SignWebhook(id, stamp, body, secret)) {
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

// SignWebhook returns the signature of a webhook as Standard Webhooks defines it.
// stamp is its time in Unix seconds, and secret what [WebhookKey] returns.
func SignWebhook(id, stamp string, body, secret []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// WebhookKey decodes a key in the form of key files: "whsec_" and 24 to 64 bytes in
// base64. The error does not repeat the key.
func WebhookKey(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), "whsec_")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(secret) < 24 || len(secret) > 64 {
		return nil, errors.New(`jobs: a webhook key is "whsec_" and 24 to 64 bytes in base64, as of: echo whsec_$(openssl rand -base64 32)`)
	}
	return secret, nil
}
