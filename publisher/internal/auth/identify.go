package auth

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// identify returns who sends a request: by its Authorization field, else by its
// cookie. Where no tokens are needed everybody is an operator.
func (a *Auth) identify(c echo.Context) (Caller, error) {
	r := c.Request()
	if !a.tokens.Wanted() {
		if !a.ownHost(r.Host) {
			return Caller{}, httpio.Problem(http.StatusForbidden, "the Host field names none of this node's addresses; set RUNNERBEAN_BASE_URL to the address in use, or RUNNERBEAN_TOKENS_FILE")
		}
		return Caller{Role: Operator}, nil
	}
	if secret, ok := bearer(r); ok {
		token, err := a.TokenOf(c, secret)
		return callerWith(token), err
	}
	session, ok, err := a.sessionOf(r)
	if err != nil {
		return Caller{}, err
	}
	if ok {
		return callerWith(session.Token), nil
	}
	return Caller{}, unauthorized(c, challenge, "this needs the header Authorization: Bearer TOKEN with a token of this node")
}

// bearer returns the token in a request's Authorization field. A field with another
// scheme may be meant for a proxy in front of the node.
func bearer(r *http.Request) (secret string, ok bool) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(secret), strings.EqualFold(scheme, "Bearer")
}

// TokenOf looks a token up. After too many wrong ones, an address has to wait
// before it may try a token that can be guessed. The error is a *jobs.Problem.
func (a *Auth) TokenOf(c echo.Context, secret string) (access.Token, error) {
	from, now := c.RealIP(), time.Now()
	if access.Guessable(secret) && a.failures.TooMany(from, now) {
		return access.Token{}, tooManyFailures(c)
	}
	token, ok := a.tokens.Find(secret, now)
	if ok {
		return token, nil
	}
	a.failures.Count(from, now)
	a.noteFailure(c, token)
	if a.failures.TooMany(from, now) {
		return access.Token{}, tooManyFailures(c)
	}
	return access.Token{}, unauthorized(c, challenge+`, error="invalid_token"`, "the token is not one of this node, or has expired")
}

const challenge = `Bearer realm="runnerbean"`

func unauthorized(c echo.Context, field, detail string) error {
	c.Response().Header().Set("WWW-Authenticate", field)
	return httpio.Problem(http.StatusUnauthorized, detail)
}

func tooManyFailures(c echo.Context) *jobs.Problem {
	c.Response().Header().Set("Retry-After", "2")
	return httpio.Problem(http.StatusTooManyRequests, "too many wrong tokens or signatures from this address; wait a few seconds")
}
