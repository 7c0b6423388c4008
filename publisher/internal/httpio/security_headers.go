package httpio

import (
	"net/http"
)

// PlainPolicy is the Content-Security-Policy of answers that are no page.
const PlainPolicy = "default-src 'none'; frame-ancestors 'none'"

// Shared header values. They must not be appended to.
var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	noContent  = []string{PlainPolicy}
	noFrame    = []string{"DENY"}
	sameOrigin = []string{"same-origin"}
	noFeatures = []string{"camera=(), geolocation=(), microphone=()"}
	// httpsOnly ends after a month, since it binds other services of the same host name too.
	httpsOnly = []string{"max-age=2592000"}
)

// SetSecurityHeaders sets the header fields of every answer. A page replaces the
// Content-Security-Policy by its own.
func SetSecurityHeaders(h http.Header, r *http.Request) {
	h["X-Content-Type-Options"], h["Referrer-Policy"], h["Content-Security-Policy"] = nosniff, noReferrer, noContent
	h["X-Frame-Options"], h["Cross-Origin-Opener-Policy"], h["Permissions-Policy"] = noFrame, sameOrigin, noFeatures
	if r.TLS != nil {
		h["Strict-Transport-Security"] = httpsOnly
	}
}

// SandboxPolicy is the Content-Security-Policy that keeps a browser from running what a
// program has written.
const SandboxPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"
