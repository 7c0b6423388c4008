package outbound

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter is how long a server asks to wait, in either form of Retry-After: at
// most most, and 0 where it says nothing. A date is compared with the server's own
// clock.
func RetryAfter(h http.Header, now time.Time, most time.Duration) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if digits := strings.TrimLeft(text, "0123456789"); text != "" && digits == "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds > int(most/time.Second) {
			return most
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	return min(max(0, at.Sub(now)), most)
}
