package web

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Advice for users of a Client.
const (
	AdviceRedirect = "use the result's own URL, and look at the redirects of the proxy before the node"
	adviceCA       = "give a Config.HTTP whose transport trusts the server's CA, or correct the server's certificate"
	adviceHTTP     = "the server speaks HTTP: begin the URL with http://, or name its HTTPS port"
	AdviceHTTPS    = "the server speaks HTTPS: begin the URL with https://, or name its HTTP port"
	adviceTLS      = "what answers speaks neither HTTP nor HTTPS: correct the port in the URL"
	adviceName     = "correct the host name in the URL"
)

// Lasting is a fault that another try does not mend, with what to do about it.
type Lasting struct {
	Err    error
	Advice string
}

func (e *Lasting) Error() string { return e.Err.Error() + ": " + e.Advice }
func (e *Lasting) Unwrap() error { return e.Err }

// Explained makes an error of http.Client fit to be shown: without the query of the
// URL, and with advice if another try is useless.
func Explained(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		e.URL = WithoutQuery(e.URL)
		if strings.Contains(e.Err.Error(), "Location header") { // net/http quotes it whole
			return &Lasting{Err: errors.New("redirected to what is no URL"), Advice: AdviceRedirect}
		}
	}
	if advice := adviceOn(err); advice != "" {
		return &Lasting{Err: err, Advice: advice}
	}
	return err
}

// adviceOn says what to do about a fault that lasts; empty for one that may pass.
func adviceOn(err error) string {
	if _, ok := errors.AsType[*Lasting](err); ok {
		return "" // has its own
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound && !e.IsTemporary {
		return adviceName
	}
	if badCertificate(err) {
		return adviceCA
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return adviceHTTP
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if string(e.RecordHeader[:]) == "HTTP/" {
			return adviceHTTP
		}
		return adviceTLS
	}
	// A TLS alert in place of an answer. net/http has no type for it.
	if text := err.Error(); strings.Contains(text, `malformed HTTP response "\x15\x03`) {
		return AdviceHTTPS
	}
	return ""
}

func badCertificate(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}
