package publisher

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// maxLogin bounds the body of a login form, in bytes.
const maxLogin = 8 << 10

// loginPolicy is pagePolicy for a page whose form may be sent.
const loginPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// loginView is the page that asks for a token.
type loginView struct {
	Root, Node, Next, Fault string
}

// getLogin asks for a token.
func (p *Publisher) getLogin(c echo.Context) error {
	next := auth.LocalPath(c.QueryParam("next"))
	if !p.auth.TokensNeeded() {
		return p.auth.Redirect(c, next)
	}
	return p.sendLogin(c, http.StatusOK, next, "")
}

func (p *Publisher) sendLogin(c echo.Context, status int, next, fault string) error {
	var page bytes.Buffer
	err := templates.ExecuteTemplate(&page, "login.html", loginView{
		Root: httpio.BasePath(p.pageBase()), Node: text.Line(p.cfg.Node, text.NameLimit), Next: next, Fault: fault,
	})
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", httpio.NoStore)
	h.Set("Content-Security-Policy", loginPolicy)
	h.Set("Referrer-Policy", "same-origin") // without one, a form has no origin that could be checked
	return c.Blob(status, typeHTML, page.Bytes())
}

// postLogin takes a token and gives the browser a session for it.
func (p *Publisher) postLogin(c echo.Context) error {
	r := c.Request()
	r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, maxLogin)
	if err := r.ParseForm(); err != nil {
		return httpio.Problem(http.StatusBadRequest, "the body is a form with the field token")
	}
	next := auth.LocalPath(r.PostForm.Get("next"))
	if !p.auth.TokensNeeded() {
		return p.auth.Redirect(c, next)
	}
	token, err := p.auth.TokenOf(c, strings.TrimSpace(r.PostForm.Get("token")))
	if refused, ok := err.(*jobs.Problem); ok { //nolint:errorlint // tokenOf returns nothing else
		return p.loginRefused(c, refused, next)
	}
	if token.Role == access.Submit {
		return p.loginRefused(c, httpio.Problem(http.StatusForbidden, "a token with the role submit is for programs and opens no pages"), next)
	}
	p.auth.SignIn(c, token)
	return p.auth.Redirect(c, next)
}

// loginRefused says at the form what is wrong.
func (p *Publisher) loginRefused(c echo.Context, refused *jobs.Problem, next string) error {
	h := c.Response().Header()
	h.Del("WWW-Authenticate")
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
	return p.sendLogin(c, status, next, fault)
}

// postLogout ends the session, for copies of it too, and takes it from the browser.
func (p *Publisher) postLogout(c echo.Context) error {
	if err := p.auth.SignOut(c); err != nil {
		return err
	}
	if !p.auth.TokensNeeded() {
		return p.auth.Redirect(c, "/")
	}
	return p.auth.Redirect(c, "/login")
}
