package signature

import (
	"strings"
	"testing"
)

// The vector of Standard Webhooks' own libraries.
const (
	vectorKey       = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorStamp     = "1614265330"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestWebhookIsSignedAsOthersDo(t *testing.T) {
	t.Parallel()
	secret, err := WebhookKey(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	if got := Webhook(vectorID, vectorStamp, []byte(vectorBody), secret); got != vectorSignature {
		t.Errorf("got %s, want %s", got, vectorSignature)
	}
}

func TestWebhookKey(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "secret", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + strings.Repeat("AAAA", 30)} {
		if _, err := WebhookKey(bad); err == nil || len(bad) > len("whsec_") && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := WebhookKey(vectorKey + "\n"); err != nil {
		t.Error(err)
	}
}
