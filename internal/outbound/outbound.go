// Package outbound makes HTTP requests to addresses that others have written, such
// as those in job documents, without letting them reach into the own network.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"code.dny.dev/ssrf"
)

// maxRedirects is how many redirects in a row are followed.
const maxRedirects = 5

// headerTimeout is how long a server may take to begin its answer.
const headerTimeout = 30 * time.Second

var errRedirect = errors.New("bad redirect")

// NewClient makes an HTTP client for addresses that others have written: it
// connects to public networks and the allowed ones only. That is decided when
// it dials, on the address that the name has resolved to.
func NewClient(allow []netip.Prefix) *http.Client {
	var v4, v6 []netip.Prefix
	for _, prefix := range allow {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	guardian := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: guardian.Safe}
	return &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			// A proxy would resolve names itself, behind the guard's back.
			Proxy:                  nil,
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  headerTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           16,
			IdleConnTimeout:        30 * time.Second,
			// Digests and sizes are those of the bytes that were sent.
			DisableCompression: true,
		},
	}
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	// The URL that sent us here may be signed: the next host must not see it.
	req.Header.Del("Referer")
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: more than %d in a row", errRedirect, maxRedirects)
	}
	if err := CheckURL(req.URL); err != nil {
		return fmt.Errorf("%w: %w", errRedirect, err)
	}
	return nil
}

// CheckURL says what is wrong with an address that shall be asked; the error does
// not repeat it.
func CheckURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%q is not http or https", u.Scheme)
	case u.Host == "":
		return errors.New("it names no host")
	case u.User != nil:
		return errors.New("it holds a user name or password")
	}
	return nil
}

// Redact leaves out what a signed URL keeps secret.
func Redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable URL)"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}

// WithoutURL is err without the whole URL that net/http puts before it.
func WithoutURL(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		return outer.Err
	}
	return err
}

// Forbidden reports whether the guard refused an address.
func Forbidden(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork)
}

// Transient reports whether trying again may help: the server was not there or
// did not answer in time.
func Transient(err error) bool {
	if Forbidden(err) || errors.Is(err, errRedirect) || errors.Is(err, context.Canceled) {
		return false
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return !dns.IsNotFound
	}
	var certificate *tls.CertificateVerificationError
	return !errors.As(err, &certificate) && !errors.Is(err, http.ErrSchemeMismatch)
}

// TransientStatus reports whether a server may answer otherwise a moment later.
func TransientStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return code >= 500
}
