package auth

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/access"
)

// SignIn gives the browser a session for a token.
func (a *Auth) SignIn(c echo.Context, token access.Token) {
	session, end := access.Session(token, time.Now())
	c.SetCookie(a.cookie(session, end))
}

// SignOut ends the session of the browser, and all copies of it, and deletes the
// cookie.
func (a *Auth) SignOut(c echo.Context) error {
	session, ok, err := a.sessionOf(c.Request())
	if err != nil {
		return err
	}
	if ok {
		if err := a.cfg.Sessions.End(c.Request().Context(), session.ID, session.End); err != nil {
			return err
		}
	}
	gone := a.cookie("", time.Unix(1, 0))
	gone.MaxAge = -1
	c.SetCookie(gone)
	return nil
}

// secure reports whether browsers reach this node by https only.
func (a *Auth) secure() bool {
	return a.tls != nil || strings.HasPrefix(a.cfg.BaseURL, "https://")
}

// cookieName has the prefix that binds the cookie to this host and to https, where
// the node is reached by https.
func (a *Auth) cookieName() string {
	if a.secure() {
		return "__Host-runnerbean_session"
	}
	return "runnerbean_session"
}

// cookie returns a cookie with SameSite=Lax: with Strict, a link in a mail would
// lead to the login page. A GET changes nothing, and writing requests of other
// origins are refused in any case.
func (a *Auth) cookie(value string, end time.Time) *http.Cookie {
	return &http.Cookie{
		Name: a.cookieName(), Value: value, Path: "/", Expires: end,
		Secure: a.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// sessionOf returns the session of a browser. Only the node's own pages may change
// something with it: a page of another origin, trusted or not, needs a token.
func (a *Auth) sessionOf(r *http.Request) (session access.SessionEntry, ok bool, err error) {
	cookie, err := r.Cookie(a.cookieName())
	if err != nil || a.ownPages.Check(r) != nil {
		return session, false, nil
	}
	if session, ok = a.tokens.Session(cookie.Value, time.Now()); !ok {
		return session, false, nil
	}
	ended, err := a.cfg.Sessions.Ended(r.Context(), session.ID)
	return session, err == nil && !ended, err
}
