package publisher

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
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
	next := localPath(c.QueryParam("next"))
	if !p.tokens.Wanted() {
		return p.redirect(c, next)
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
	next := localPath(r.PostForm.Get("next"))
	if !p.tokens.Wanted() {
		return p.redirect(c, next)
	}
	token, err := p.tokenOf(c, strings.TrimSpace(r.PostForm.Get("token")))
	if refused, ok := err.(*jobs.Problem); ok { //nolint:errorlint // tokenOf returns nothing else
		return p.loginRefused(c, refused, next)
	}
	if token.Role == access.Submit {
		return p.loginRefused(c, httpio.Problem(http.StatusForbidden, "a token with the role submit is for programs and opens no pages"), next)
	}
	session, end := access.Session(token, time.Now())
	c.SetCookie(p.cookie(session, end))
	return p.redirect(c, next)
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
	if session, ok, err := p.sessionOf(c.Request()); ok {
		if err := p.cfg.Ledger.EndSession(c.Request().Context(), session.ID, session.End); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	gone := p.cookie("", time.Unix(1, 0))
	gone.MaxAge = -1
	c.SetCookie(gone)
	if !p.tokens.Wanted() {
		return p.redirect(c, "/")
	}
	return p.redirect(c, "/login")
}

// redirect leads a browser to a path of this node, by GET.
func (p *Publisher) redirect(c echo.Context, path string) error {
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Redirect(http.StatusSeeOther, httpio.BasePath(p.pageBase())+path)
}

// secure reports whether browsers reach this node by https only.
func (p *Publisher) secure() bool {
	return p.tls != nil || strings.HasPrefix(p.cfg.BaseURL, "https://")
}

// cookieName is bound to this host and to https by its prefix where it can be.
func (p *Publisher) cookieName() string {
	if p.secure() {
		return "__Host-runnerbean_session"
	}
	return "runnerbean_session"
}

// cookie is SameSite=Lax: with Strict, whoever follows a link to the node from
// a mail would be asked for the token again. A GET changes nothing, and writing
// requests of other sites are refused by their origin besides.
func (p *Publisher) cookie(value string, end time.Time) *http.Cookie {
	return &http.Cookie{
		Name: p.cookieName(), Value: value, Path: "/", Expires: end,
		Secure: p.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// orLogin leads a browser that has shown nothing to the page that asks for a
// token; everybody else gets the error. Who asks for a result may be a visitor
// and have none.
func (p *Publisher) orLogin(c echo.Context, err error) error {
	r := c.Request()
	_, tried := bearer(r)
	refused, ok := err.(*jobs.Problem) //nolint:errorlint // it has not been wrapped
	if !ok || refused.Status != http.StatusUnauthorized || tried || !httpio.WantsPage(r) || p.levels[c.Path()] == holder {
		return err
	}
	c.Response().Header().Del("WWW-Authenticate")
	return p.redirect(c, "/login?"+url.Values{"next": {p.backTo(r)}}.Encode())
}

// backTo is where a browser goes after the login: what it asked for or, where
// that was to change something, the page that it came from.
func (p *Publisher) backTo(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return localPath(r.URL.RequestURI())
	}
	from, err := url.Parse(r.Referer())
	if err != nil || !strings.EqualFold(from.Host, r.Host) {
		return "/"
	}
	return localPath(strings.TrimPrefix(from.RequestURI(), httpio.BasePath(p.pageBase())))
}

// localPath is a path of this node with its query; anything else is "/", for a
// link to the login page must not lead elsewhere. Browsers take a backslash for
// a slash, and skip tabs and line breaks.
func localPath(path string) string {
	odd := func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }
	if len(path) > text.LinkLimit || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, odd) {
		return "/"
	}
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Path == "/login" {
		return "/"
	}
	return u.RequestURI()
}
