// Package web reads URLs over HTTP for package jobs: which URLs it takes and shows, which
// transport it uses, and which faults another try does not mend. It does not know what
// the answers mean.
package web

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// ParseURL parses an absolute http or https URL. Its errors do not contain the query,
// which may be a signature.
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("%q is no URL: %w", WithoutQuery(s), err)
	}
	port := u.Port()
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is not an absolute http or https URL", WithoutQuery(s))
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q has no host", WithoutQuery(s))
	case port == "" && !strings.HasSuffix(u.Host, ":"):
		return u, nil
	case err != nil || n == 0:
		return nil, fmt.Errorf("%q has the port %q: 1 to 65535 are possible", WithoutQuery(s), port)
	}
	return u, nil
}

// WithoutQuery returns a URL as errors and logs may show it. The query of a signed URL
// opens the result for whoever reads it.
func WithoutQuery(s string) string {
	shown, _, _ := strings.Cut(s, "#")
	shown, _, signed := strings.Cut(shown, "?")
	if u, err := url.Parse(shown); err == nil {
		shown = u.Redacted()
	} else if i := strings.LastIndexByte(shown, '@'); i >= 0 {
		shown = "…" + shown[i:]
	}
	if signed {
		shown += "?…"
	}
	return shown
}
