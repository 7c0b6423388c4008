package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// The header fields of a webhook, as Standard Webhooks names them.
const (
	WebhookID        = "webhook-id"
	WebhookTimestamp = "webhook-timestamp"
	WebhookSignature = "webhook-signature"
)

// Webhook returns the signature of a webhook as Standard Webhooks defines it. stamp is
// its time in Unix seconds, and secret what [WebhookKey] returns.
func Webhook(id, stamp string, body, secret []byte) string {
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
		return nil, errors.New(`a webhook key is "whsec_" and 24 to 64 bytes in base64, as of: echo whsec_$(openssl rand -base64 32)`)
	}
	return secret, nil
}
