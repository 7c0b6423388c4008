package httpio

import (
	"net/http"
)

// PlainPolicy is for answers that are no page.
const PlainPolicy = "default-src 'none'; frame-ancestors 'none'"

// Shared header values; they are never added to.
var (
	nosniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	noContent  = []string{PlainPolicy}
	noFrame    = []string{"DENY"}
	sameOrigin = []string{"same-origin"}
	noFeatures = []string{"camera=(), geolocation=(), microphone=()"}
	// httpsOnly is for a month: the name may be that of a machine with other
	// services, which it binds too.
	httpsOnly = []string{"max-age=2592000"}
)

// SetSecurityHeaders is in every answer. A page puts its own policy in place of the
// strictest.
func SetSecurityHeaders(h http.Header, r *http.Request) {
	h["X-Content-Type-Options"], h["Referrer-Policy"], h["Content-Security-Policy"] = nosniff, noReferrer, noContent
	h["X-Frame-Options"], h["Cross-Origin-Opener-Policy"], h["Permissions-Policy"] = noFrame, sameOrigin, noFeatures
	if r.TLS != nil {
		h["Strict-Transport-Security"] = httpsOnly
	}
}

// SandboxPolicy keeps a browser from running what a program has written.
const SandboxPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"
