package pages

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	typeHTML = "text/html; charset=utf-8"
	// keepAndAsk makes a browser keep a page, and ask with its tag each time.
	keepAndAsk = "private, no-cache"
	// pageTime is how long a page may take to be made.
	pageTime = 10 * time.Second
)

// Values of the header Content-Security-Policy. The pages of the dashboard have
// forms; the login has a form and no scripts.
const (
	resultPolicy    = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	loginPolicy     = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

var templates = template.Must(template.New("").ParseFS(files, "assets/*.html"))

// send answers with a page that no cache may keep: the named template with a view.
func send(c echo.Context, status int, policy, name string, view any) error {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, view); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Cache-Control", httpio.NoStore)
	setPolicy(h, policy)
	return c.Blob(status, typeHTML, page.Bytes())
}

// setPolicy sets what a page may load and where it sends its address. Without an
// address a form has no origin, and could not be checked.
func setPolicy(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin")
}

// sendShared answers with a page of the dashboard: the named template with what
// view returns. All who ask for the same page within a moment get the same answer,
// so view must not depend on more than the URL and what readerKey tells apart.
func (p *Pages) sendShared(c echo.Context, name string, view func(ctx context.Context) (any, error)) error {
	r := c.Request()
	key := readerKey(c, p.cfg.Auth) + " " + name + " " + r.URL.RequestURI()
	page, err := p.cache.get(key, func() (*httpio.CachedResponse, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), pageTime)
		defer cancel()
		v, err := view(ctx)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, name, v); err != nil {
			return nil, err
		}
		return httpio.NewCachedResponse(bytes.Clone(out.Bytes()), time.Now(), typeHTML, keepAndAsk, "Accept-Encoding, Cookie, Authorization"), nil
	})
	if err != nil {
		return err
	}
	setPolicy(c.Response().Header(), dashboardPolicy)
	page.Serve(c.Response(), withoutDates(r))
	return nil
}

// withoutDates returns a request whose only condition is the tag. A page may
// change twice in a second, which dates do not show.
func withoutDates(r *http.Request) *http.Request {
	if r.Header["If-Modified-Since"] == nil {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("If-Modified-Since")
	return r
}

// readerKey tells apart readers who see different pages at one URL.
func readerKey(c echo.Context, a *auth.Auth) string {
	return fmt.Sprint(auth.CallerOf(c).Name, " ", a.CanAct(c))
}

// see leads a browser to another page after a form.
func (p *Pages) see(c echo.Context, path string) error {
	return c.Redirect(http.StatusSeeOther, p.root+path)
}
