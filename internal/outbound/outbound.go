// Package outbound makes HTTP requests to addresses that others have written, such
// as those in job documents, without letting them reach into the own network.
package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// Header marks the requests of this package. A node answers those with results
	// only, so that no job reads or commands a node by a way around the own network,
	// such as a proxy before it.
	Header = "Runnerbean-Outbound"

	// maxRedirects is how many redirects in a row are followed.
	maxRedirects = 5
	// headerTimeout is how long a server may take to begin its answer.
	headerTimeout = 30 * time.Second
)

// NewClient makes an HTTP client for addresses that others have written. Its
// errors name hosts as they did, and no address that a name has resolved to. It asks
// for answers as they are, and decodes those to GET that come in another
// Content-Encoding: what is read may be much larger than what was sent. Close it with
// CloseIdleConnections.
func NewClient(cfg Config) *http.Client {
	g := newGuard(cfg)
	return &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &transport{guard: g, base: &http.Transport{
			Proxy:                  g.route,
			OnProxyConnectResponse: checkConnect,
			DialContext:            g.dial,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  headerTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			MaxIdleConns:           16,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
		}},
	}
}

// transport marks requests, decodes answers to GET, and makes errors readable.
type transport struct {
	guard *guard
	base  *http.Transport
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set(Header, "1")
	req.Header.Set("Accept-Encoding", "identity")
	answer, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, readable(err, req.URL)
	}
	if answer.StatusCode == http.StatusProxyAuthRequired && t.guard.answersItself(req) {
		answer.Body.Close()
		return nil, &proxyFault{answer.StatusCode}
	}
	answer.Body = &body{answer.Body, req.URL}
	if req.Method == http.MethodGet && answer.StatusCode == http.StatusOK {
		if err := decode(req.Context(), answer); err != nil {
			answer.Body.Close()
			return nil, err
		}
	}
	return answer, nil
}

// CloseIdleConnections is what http.Client's own calls.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// body is that of an answer, whose errors are readable.
type body struct {
	io.ReadCloser
	url *url.URL
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	return n, readable(err, b.url)
}

var errRedirect = errors.New("bad redirect")

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
	case u.Hostname() == "":
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

// Transient reports whether trying again may help: the server was not there or
// did not answer in time.
func Transient(err error) bool {
	if Forbidden(err) || errors.Is(err, errRedirect) || errors.Is(err, context.Canceled) {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound
	}
	if _, ok := errors.AsType[*codingFault](err); ok {
		return false
	}
	if proxy, ok := errors.AsType[*proxyFault](err); ok {
		return proxy.status == http.StatusProxyAuthRequired || TransientStatus(proxy.status)
	}
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	return !certificate && !errors.Is(err, http.ErrSchemeMismatch)
}

// TransientStatus reports whether a server may answer otherwise a moment later.
func TransientStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return code >= 500
}
