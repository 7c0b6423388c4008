package auth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// OpenResults reports whether a result's URL alone is enough to read it. Only then
// may an answer be sent before the router has seen the request.
func (a *Auth) OpenResults() bool { return a.keys == nil }

// verify checks the signature of a result's URL with every key.
func (a *Auth) verify(id string, query url.Values) error {
	err := signature.ErrURL
	for _, key := range a.keys.All() {
		if err = signature.VerifyURL(id, query, key, time.Now()); !errors.Is(err, signature.ErrURL) {
			break
		}
	}
	return err
}

// badSignature says what is wrong. A signature cannot be guessed, so that many
// wrong ones do not keep an address from using a right one.
func (a *Auth) badSignature(c echo.Context, err error) error {
	c.Response().Header().Del("WWW-Authenticate")
	if errors.Is(err, signature.ErrURLExpired) {
		return httpio.Problem(http.StatusForbidden, "this URL has expired; ask whoever gave it to you for a new one")
	}
	a.failures.Count(c.RealIP(), time.Now())
	if a.failures.TooMany(c.RealIP(), time.Now()) {
		return tooManyFailures(c)
	}
	return httpio.Problem(http.StatusForbidden, "the signature of this URL is not right; the whole URL is needed, with expires and signature as they were given")
}

// ResultCacheControl returns the Cache-Control field of what never changes below a
// result's URL. A signature expires, so that a client has to ask again.
func (a *Auth) ResultCacheControl() string {
	if a.OpenResults() {
		return httpio.Immutable
	}
	return "private, no-cache"
}

const signatureKey = "signature"

// SignedQuery returns the query with the signature of a request, which its links
// need too, or "".
func SignedQuery(c echo.Context) string {
	query, _ := c.Get(signatureKey).(string)
	return query
}

// takeSignature removes the signature from a request's query and returns it:
// handlers refuse parameters that they do not know. A URL may still have one where
// results are open now.
func takeSignature(r *http.Request) url.Values {
	taken := url.Values{}
	if !strings.Contains(r.URL.RawQuery, signature.ParamSignature) && !strings.Contains(r.URL.RawQuery, signature.ParamExpires) {
		return taken
	}
	query := r.URL.Query()
	for _, name := range []string{signature.ParamExpires, signature.ParamSignature} {
		if values := query[name]; values != nil {
			taken[name] = values
			query.Del(name)
		}
	}
	if len(taken) > 0 {
		u := *r.URL
		u.RawQuery = query.Encode()
		r.URL = &u
	}
	return taken
}
