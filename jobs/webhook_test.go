package jobs

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/signature"
)

// The vector of Standard Webhooks' own libraries.
const (
	vectorKey       = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorStamp     = "1614265330"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

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
		"second of a list":   {with(signature.WebhookSignature, "v1,AAAA v2,x "+vectorSignature), vectorBody, at, false},
		"old":                {good(), vectorBody, at.Add(6 * time.Minute), true},
		"from the future":    {good(), vectorBody, at.Add(-6 * time.Minute), true},
		"other body":         {good(), vectorBody + " ", at, true},
		"other id":           {with(signature.WebhookID, "x"), vectorBody, at, true},
		"other time":         {with(signature.WebhookTimestamp, "1614265331"), vectorBody, at, true},
		"no time":            {with(signature.WebhookTimestamp, "today"), vectorBody, at, true},
		"no signature":       {with(signature.WebhookSignature, ""), vectorBody, at, true},
		"signature, no kind": {with(signature.WebhookSignature, strings.TrimPrefix(vectorSignature, "v1,")), vectorBody, at, true},
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
