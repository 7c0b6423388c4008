package publisher

import (
	"net/http"
	"strings"
	"time"
)

// maxWait bounds how long an answer is held for Prefer: wait.
const maxWait = 60 * time.Second

// header is all lines of one field as one list.
func header(h http.Header, key string) string {
	switch lines := h[key]; len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	default:
		return strings.Join(lines, ",")
	}
}

// prefersHTML reports whether an Accept field ranks a page above JSON.
func prefersHTML(accept string) bool {
	switch accept {
	case "", "*/*", "application/json":
		return false
	}
	return mediaQuality(accept, "text", "html") > mediaQuality(accept, "application", "json")
}

// mediaQuality is the weight, in thousandths, that an Accept field gives a
// media type by its most specific range.
func mediaQuality(accept, main, sub string) int {
	best, quality := 0, 0
	for accept != "" {
		var item string
		item, accept, _ = strings.Cut(accept, ",")
		name, q, ok := weighted(item)
		if fit := mediaFit(name, main, sub); ok && fit > best {
			best, quality = fit, q
		}
	}
	return quality
}

// mediaFit says how specifically a media range names a media type; 0 is not at all.
func mediaFit(name, main, sub string) int {
	m, s, ok := strings.Cut(name, "/")
	switch {
	case !ok:
		return 0
	case strings.EqualFold(m, main) && strings.EqualFold(s, sub):
		return 3
	case strings.EqualFold(m, main) && s == "*":
		return 2
	case m == "*" && s == "*":
		return 1
	}
	return 0
}

// acceptsGzip reports whether an Accept-Encoding field takes gzip and does not
// like the plain form better.
func acceptsGzip(accept string) bool {
	gzip, identity, any := -1, -1, -1
	for accept != "" {
		var item string
		item, accept, _ = strings.Cut(accept, ",")
		name, q, ok := weighted(item)
		switch {
		case !ok:
		case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
			gzip = q
		case strings.EqualFold(name, "identity"):
			identity = q
		case name == "*":
			any = q
		}
	}
	if gzip < 0 {
		gzip = any
	}
	return gzip > 0 && gzip >= identity
}

// weighted splits "name;q=0.5" and forgets other parameters. ok is false where
// the weight is not well formed.
func weighted(item string) (name string, q int, ok bool) {
	name, params, more := strings.Cut(item, ";")
	name, q = strings.TrimSpace(name), 1000
	for more {
		var param string
		param, params, more = strings.Cut(params, ";")
		key, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(key), "q") {
			continue
		}
		if q, ok = thousandths(strings.TrimSpace(value)); !ok {
			return name, 0, false
		}
	}
	return name, q, name != ""
}

// thousandths reads a weight of RFC 9110: 0 or 1 with up to three decimals.
func thousandths(s string) (int, bool) {
	if len(s) == 0 || len(s) > 5 || s[0] < '0' || s[0] > '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	q, unit := int(s[0]-'0')*1000, 100
	for _, c := range []byte(s[min(2, len(s)):]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		q += int(c-'0') * unit
		unit /= 10
	}
	return q, q <= 1000
}

// preferWait reads wait=SECONDS from a Prefer field (RFC 7240); the first one
// counts, and more than maxWait is maxWait.
func preferWait(prefer string) (time.Duration, bool) {
	for prefer != "" {
		var item string
		item, prefer, _ = strings.Cut(prefer, ",")
		item, _, _ = strings.Cut(item, ";")
		key, value, _ := strings.Cut(item, "=")
		if strings.EqualFold(strings.TrimSpace(key), "wait") {
			return seconds(strings.Trim(strings.TrimSpace(value), `"`))
		}
	}
	return 0, false
}

// seconds reads a whole number and stops counting at maxWait.
func seconds(s string) (time.Duration, bool) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(10*n+int(c-'0'), int(maxWait/time.Second))
	}
	return time.Duration(n) * time.Second, s != ""
}
