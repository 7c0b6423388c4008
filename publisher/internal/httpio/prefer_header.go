package httpio

import (
	"strings"
	"time"
)

// MaxWait is the longest time for which an answer is held because of Prefer: wait.
const MaxWait = 60 * time.Second

// PreferWait reads the first wait=SECONDS of a Prefer field (RFC 7240). It returns at
// most MaxWait.
func PreferWait(prefer string) (time.Duration, bool) {
	value, ok := preference(prefer, "wait")
	if !ok {
		return 0, false
	}
	return seconds(value)
}

// PrefersMinimal reports whether a Prefer field has return=minimal.
func PrefersMinimal(prefer string) bool {
	value, _ := preference(prefer, "return")
	return value == "minimal"
}

// preference returns the value of the first preference with a name.
func preference(prefer, name string) (value string, ok bool) {
	for prefer != "" {
		var item string
		item, prefer, _ = strings.Cut(prefer, ",")
		item, _, _ = strings.Cut(item, ";")
		key, value, _ := strings.Cut(item, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(strings.TrimSpace(value), `"`), true
		}
	}
	return "", false
}

// seconds reads a whole number of seconds. It returns at most MaxWait.
func seconds(s string) (time.Duration, bool) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(10*n+int(c-'0'), int(MaxWait/time.Second))
	}
	return time.Duration(n) * time.Second, s != ""
}
