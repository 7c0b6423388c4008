package publisher

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// openResults reports whether whoever knows a result's URL may read it. Only
// then may an answer leave before the router.
func (p *Publisher) openResults() bool { return p.keys == nil }

// admitHolder lets through who has a URL that is good for the result: any, or
// a signed one where the operator wants that. Who may read the pages may read
// every result.
func (p *Publisher) admitHolder(c echo.Context) error {
	signature := takeSignature(c.Request())
	c.Set(carryKey, signature.Encode())
	if p.openResults() {
		allowAny(c.Response().Header(), c.Request())
		return nil
	}
	c.Response().Header().Set("Cache-Control", "private, no-cache") // unless the handler says otherwise
	err := p.verify(c, signature)
	if err == nil {
		// The URL says it all, so a page of any origin may read what it has it for.
		allowAny(c.Response().Header(), c.Request())
		return nil
	}
	if refused := p.admitPerson(c, ownReader); refused == nil || len(signature) == 0 {
		return refused
	}
	return p.badSignature(c, err)
}

// verify checks the signature in a result's URL with every key.
func (p *Publisher) verify(c echo.Context, query url.Values) error {
	err := jobs.ErrSignature
	for _, key := range p.keys.All() {
		if err = jobs.VerifySignature(c.Param("id"), query, key, time.Now()); !errors.Is(err, jobs.ErrSignature) {
			break
		}
	}
	return err
}

// badSignature says what is wrong. Nobody guesses a signature, so an address
// with many wrong ones is not kept from using a right one.
func (p *Publisher) badSignature(c echo.Context, err error) error {
	c.Response().Header().Del("WWW-Authenticate")
	if errors.Is(err, jobs.ErrURLExpired) {
		return httpio.Problem(http.StatusForbidden, "this URL has expired; ask whoever gave it to you for a new one")
	}
	p.failures.Count(c.RealIP(), time.Now())
	if p.failures.TooMany(c.RealIP(), time.Now()) {
		return tooManyFailures(c)
	}
	return httpio.Problem(http.StatusForbidden, "the signature of this URL is not right; the whole URL is needed, with expires and signature as they were given")
}

const carryKey = "carry"

// carry is the query that opens what lies below a signed URL, or empty.
func carry(c echo.Context) string {
	query, _ := c.Get(carryKey).(string)
	return query
}

// takeSignature takes the signature out of a request's query, for the handlers
// know nothing of it, and returns it. Where results are open it is left over
// from when they were not.
func takeSignature(r *http.Request) url.Values {
	taken := url.Values{}
	if !strings.Contains(r.URL.RawQuery, jobs.ParamSignature) && !strings.Contains(r.URL.RawQuery, jobs.ParamExpires) {
		return taken
	}
	query := r.URL.Query()
	for _, name := range []string{jobs.ParamExpires, jobs.ParamSignature} {
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
