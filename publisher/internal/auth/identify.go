package auth

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// identify returns the sender of a request, by its Authorization field or else by its
// cookie. If no tokens are needed, every sender is an operator.
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

// ownHost protects a node without tokens from DNS rebinding: a name of another
// site cannot be an IP address, localhost or the host of BaseURL.
func (a *Auth) ownHost(hostport string) bool {
	base, err := url.Parse(a.cfg.BaseURL)
	if err == nil && strings.EqualFold(base.Host, hostport) {
		return true
	}
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	_, err = netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

// noteFailure records that a token was refused. expired is the token where it is
// one of this node, and else zero.
func (a *Auth) noteFailure(c echo.Context, expired access.Token) {
	ok, last := a.events.next(time.Now())
	if !ok {
		return
	}
	from := c.RealIP()
	if behind := a.cfg.Proxies.Address(c.Request()); behind != from {
		from = behind + " through " + from // a private address may be a proxy, or claim to be one
	}
	message := "a wrong token came from " + from
	if expired.Name != "" {
		message = "the token " + expired.Name + ", which has expired, came from " + from
	}
	message += ", for " + c.Request().Method + " " + c.Path()
	if last {
		message += "; further ones of this minute get no event"
	}
	event := eventlog.Event{Kind: "login-failed", Node: a.cfg.Node, Message: message}
	if err := a.cfg.Events.Note(context.WithoutCancel(c.Request().Context()), event); err != nil {
		a.cfg.Logger.Warn("an event about a wrong token is not recorded", "err", err)
	}
}
