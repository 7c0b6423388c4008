package httpio

import (
	"net/http"
	"strings"
	"time"
)

// ModifiedSince reports whether something was modified after the time of an
// If-Modified-Since field, in whole seconds. text is the time of modification as a
// header field has it.
func ModifiedSince(modified time.Time, text, since string) bool {
	if since == text {
		return false
	}
	t, err := http.ParseTime(since)
	return err != nil || modified.Truncate(time.Second).After(t)
}

// Matches reports whether an If-None-Match field has a tag, by the weak comparison.
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
