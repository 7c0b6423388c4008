package pages

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// maxLogin is the largest body of a login form, in bytes.
const maxLogin = 8 << 10

// Login signs people in and out.
type Login struct {
	auth *auth.Auth
	view loginView // without what differs between requests
}

// loginView is the page that asks for a token.
type loginView struct {
	Root, Node, Next, Fault string
}

// Login returns the handlers of the login.
func (p *Pages) Login() *Login {
	return &Login{auth: p.cfg.Auth, view: loginView{Root: p.root, Node: p.node}}
}

// Form asks for a token.
func (l *Login) Form(c echo.Context) error {
	next := auth.LocalPath(c.QueryParam("next"))
	if !l.auth.TokensNeeded() {
		return l.auth.Redirect(c, next)
	}
	return l.send(c, http.StatusOK, next, "")
}

func (l *Login) send(c echo.Context, status int, next, fault string) error {
	v := l.view
	v.Next, v.Fault = next, fault
	return send(c, status, loginPolicy, "login.html", v)
}

// SignIn takes a token and gives the browser a session for it.
func (l *Login) SignIn(c echo.Context) error {
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, maxLogin)
	if err := r.ParseForm(); err != nil {
		return httpio.Problem(http.StatusBadRequest, "the body is a form with the field token")
	}
	next := auth.LocalPath(r.PostForm.Get("next"))
	if !l.auth.TokensNeeded() {
		return l.auth.Redirect(c, next)
	}
	token, err := l.auth.TokenOf(c, strings.TrimSpace(r.PostForm.Get("token")))
	if refused, ok := err.(*jobs.Problem); ok { //nolint:errorlint // TokenOf returns nothing else
		return l.refuse(c, refused, next)
	}
	if token.Role == access.Submit {
		return l.refuse(c, httpio.Problem(http.StatusForbidden, "a token with the role submit is for programs and opens no pages"), next)
	}
	l.auth.SignIn(c, token)
	return l.auth.Redirect(c, next)
}

// refuse says on the form what is wrong with a token.
func (l *Login) refuse(c echo.Context, refused *jobs.Problem, next string) error {
	c.Response().Header().Del("WWW-Authenticate")
	if !httpio.WantsPage(c.Request()) {
		return refused
	}
	status, fault := http.StatusForbidden, "This token is not one of this node, or has expired."
	switch refused.Status {
	case http.StatusTooManyRequests:
		status, fault = refused.Status, "Too many wrong tokens came from your address. Wait a few seconds and try again."
	case http.StatusForbidden:
		fault = text.Capitalize(refused.Detail) + "."
	}
	return l.send(c, status, next, fault)
}

// SignOut ends the session, of which there may be copies, and deletes its cookie.
func (l *Login) SignOut(c echo.Context) error {
	if err := l.auth.SignOut(c); err != nil {
		return err
	}
	if !l.auth.TokensNeeded() {
		return l.auth.Redirect(c, "/")
	}
	return l.auth.Redirect(c, "/login")
}
