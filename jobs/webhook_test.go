package jobs

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The vector of Standard Webhooks' own libraries.
const (
	vectorKey       = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorStamp     = "1614265330"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSignWebhookAsOthersDo(t *testing.T) {
	t.Parallel()
	secret, err := WebhookKey(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	if got := SignWebhook(vectorID, vectorStamp, []byte(vectorBody), secret); got != vectorSignature {
		t.Errorf("got %s, want %s", got, vectorSignature)
	}
}

func TestVerifyWebhook(t *testing.T) {
	t.Parallel()
	seconds, _ := strconv.ParseInt(vectorStamp, 10, 64)
	at := time.Unix(seconds, 0)
	good := func() http.Header {
		return http.Header{"Webhook-Id": {vectorID}, "Webhook-Timestamp": {vectorStamp}, "Webhook-Signature": {vectorSignature}}
	}
	with := func(name, value string) http.Header { h := good(); h.Set(name, value); return h }
	for name, test := range map[string]struct {
		header http.Header
		body   string
		now    time.Time
		bad    bool
	}{
		"good":               {good(), vectorBody, at, false},
		"clock ahead":        {good(), vectorBody, at.Add(4 * time.Minute), false},
		"second of a list":   {with(HeaderWebhookSignature, "v1,AAAA v2,x "+vectorSignature), vectorBody, at, false},
		"old":                {good(), vectorBody, at.Add(6 * time.Minute), true},
		"from the future":    {good(), vectorBody, at.Add(-6 * time.Minute), true},
		"other body":         {good(), vectorBody + " ", at, true},
		"other id":           {with(HeaderWebhookID, "x"), vectorBody, at, true},
		"other time":         {with(HeaderWebhookTimestamp, "1614265331"), vectorBody, at, true},
		"no time":            {with(HeaderWebhookTimestamp, "today"), vectorBody, at, true},
		"no signature":       {with(HeaderWebhookSignature, ""), vectorBody, at, true},
		"signature, no kind": {with(HeaderWebhookSignature, strings.TrimPrefix(vectorSignature, "v1,")), vectorBody, at, true},
		"no header":          {http.Header{}, vectorBody, at, true},
	} {
		hook, err := VerifyWebhook(test.header, []byte(test.body), vectorKey, test.now)
		if errors.Is(err, ErrWebhook) != test.bad || (err != nil) != test.bad {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && hook.ID != vectorID {
			t.Errorf("%s: id %q", name, hook.ID)
		}
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
