package auth

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// Redirect sends a browser to a path of this node, by GET.
func (a *Auth) Redirect(c echo.Context, path string) error {
	c.Response().Header().Set("Cache-Control", httpio.NoStore)
	return c.Redirect(http.StatusSeeOther, a.basePath+path)
}

// orLogin sends a browser that has shown no token to the login page, and returns
// err for all other requests. Visitors who open a result may have no token, so that
// a result's URL never leads to the login page.
func (a *Auth) orLogin(c echo.Context, needs Level, err error) error {
	r := c.Request()
	_, tried := bearer(r)
	refused, ok := err.(*jobs.Problem) //nolint:errorlint // it has not been wrapped
	if !ok || refused.Status != http.StatusUnauthorized || tried || !httpio.WantsPage(r) || needs == Holder {
		return err
	}
	c.Response().Header().Del("WWW-Authenticate")
	return a.Redirect(c, "/login?"+url.Values{"next": {a.BackTo(r)}}.Encode())
}

// BackTo returns where a browser goes after the login: to what it asked for or,
// where it wanted to change something, to the page that it came from.
func (a *Auth) BackTo(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return LocalPath(r.URL.RequestURI())
	}
	from, err := url.Parse(r.Referer())
	if err != nil || !strings.EqualFold(from.Host, r.Host) {
		return "/"
	}
	return LocalPath(strings.TrimPrefix(from.RequestURI(), a.basePath))
}

// LocalPath returns path if it is one of this node, with or without a query, and
// else "/": a link to the login page must not lead to another site. Browsers take a
// backslash for a slash, and skip tabs and line breaks.
func LocalPath(path string) string {
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
