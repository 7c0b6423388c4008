package outbound

import (
	"net/http"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const most = 6 * time.Hour
	now := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header, date string
		want         time.Duration
	}{
		{"60", "", time.Minute},
		{" 0 ", "", 0},
		{"", "", 0},
		{"-5", "", 0},
		{"1.5", "", 0},
		{"soon", "", 0},
		{"86400", "", 6 * time.Hour},
		{"99999999999999999999", "", 6 * time.Hour},
		{"Thu, 26 Nov 2026 08:01:00 GMT", "", time.Minute},
		{"Thu, 26 Nov 2026 07:01:00 GMT", "", 0},
		{"Thu, 26 Nov 2026 10:01:00 GMT", "Thu, 26 Nov 2026 10:00:30 GMT", 30 * time.Second},
		{"Thursday, 26-Nov-26 08:02:00 GMT", "not a date", 2 * time.Minute},
		{"Fri, 26 Nov 2100 10:01:00 GMT", "", 6 * time.Hour},
	} {
		h := http.Header{"Retry-After": {c.header}, "Date": {c.date}}
		if got := RetryAfter(h, now, most); got != c.want {
			t.Errorf("%q at %q: %s, want %s", c.header, c.date, got, c.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	const most = time.Hour
	f.Add("60", "")
	f.Add("Thu, 26 Nov 2026 10:01:00 GMT", "Thu, 26 Nov 2026 10:00:30 GMT")
	f.Fuzz(func(t *testing.T, after, date string) {
		if got := RetryAfter(http.Header{"Retry-After": {after}, "Date": {date}}, time.Now(), most); got < 0 || got > most {
			t.Errorf("%s", got)
		}
	})
}
