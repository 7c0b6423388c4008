package httpio

import (
	"net/http"
	"strings"
	"time"
)

// ModifiedSince compares at the grain of seconds, as the field has it.
func ModifiedSince(modified time.Time, text, since string) bool {
	if since == text {
		return false
	}
	t, err := http.ParseTime(since)
	return err != nil || modified.Truncate(time.Second).After(t)
}

// Matches compares a tag with an If-None-Match list, weakly.
func Matches(list, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for list != "" {
		var item string
		item, list, _ = strings.Cut(list, ",")
		item = strings.TrimSpace(item)
		if item == "*" || strings.TrimPrefix(item, "W/") == etag {
			return true
		}
	}
	return false
}
